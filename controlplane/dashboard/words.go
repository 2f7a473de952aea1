package dashboard

import (
	"cmp"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

func jobTitle(t controlplane.JobType) string { return cmp.Or(t.Kind().Title, plain(string(t))) }

// entryOf returns the catalog's entry of a code, the zero entry where it has none.
func entryOf[T ~string](code T) controlplane.Code {
	entry, _ := controlplane.CodeOf(code)
	return entry
}

// reason returns the title of a stable code. A code without an entry is shown as words.
func reason[T ~string](code T) string {
	return cmp.Or(entryOf(code).Title, plain(string(code)))
}

// actionTitle returns what happened, as the catalog says it.
func actionTitle(action string) string {
	entry, _ := controlplane.ActionOf(action)
	return cmp.Or(entry.Title, plain(action))
}

// keyWords name the key types.
var keyWords = map[controlplane.KeyType]string{
	controlplane.KeyEC256:   "EC P-256",
	controlplane.KeyEC384:   "EC P-384",
	controlplane.KeyRSA2048: "RSA 2048",
	controlplane.KeyRSA4096: "RSA 4096",
}

func keyTitle(k controlplane.KeyType) string {
	if s, ok := keyWords[k]; ok {
		return s
	}
	return string(k)
}

// abbreviations are the words of codes that are written in capitals.
var abbreviations = map[string]string{"ca": "CA", "caa": "CAA", "dns": "DNS", "dnssec": "DNSSEC", "cname": "CNAME", "txt": "TXT", "acme": "ACME", "csr": "CSR"}

// plain makes a stable code readable: "ca-account" becomes "CA account".
func plain(code string) string {
	words := strings.FieldsFunc(code, func(r rune) bool { return r == '-' || r == '_' || r == '.' })
	for i, w := range words {
		if a, ok := abbreviations[w]; ok {
			words[i] = a
		} else if i == 0 {
			words[i] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	return strings.Join(words, " ")
}
