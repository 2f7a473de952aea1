package dashboard

import (
	"cmp"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

func jobTitle(t controlplane.JobType) string { return cmp.Or(t.Kind().Title, plain(string(t))) }

// entryOf returns the catalog's entry of a code, or the zero entry.
func entryOf[T ~string](code T) controlplane.Code {
	entry, _ := controlplane.CodeOf(code)
	return entry
}

// reason returns the title of a code. A code without an entry is made readable.
func reason[T ~string](code T) string {
	return cmp.Or(entryOf(code).Title, plain(string(code)))
}

// actionTitle returns the title of an action in the catalog.
func actionTitle(action string) string {
	entry, _ := controlplane.ActionOf(action)
	return cmp.Or(entry.Title, plain(action))
}

// keyTitles has the titles of the key types.
var keyTitles = map[controlplane.KeyType]string{
	controlplane.KeyEC256:   "EC P-256",
	controlplane.KeyEC384:   "EC P-384",
	controlplane.KeyRSA2048: "RSA 2048",
	controlplane.KeyRSA3072: "RSA 3072",
	controlplane.KeyRSA4096: "RSA 4096",
}

func keyTitle(k controlplane.KeyType) string { return cmp.Or(keyTitles[k], string(k)) }

// abbreviations has the words of codes with special capitalization.
var abbreviations = map[string]string{"acme": "ACME", "acmedns": "acme-dns", "ca": "CA",
	"caa": "CAA", "cname": "CNAME", "csr": "CSR", "dns": "DNS",
	"dnssec": "DNSSEC", "id": "ID", "ids": "IDs", "ip": "IP", "txt": "TXT", "url": "URL"}

// plain returns a readable form of a stable code: "ca-account" becomes "CA account".
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
