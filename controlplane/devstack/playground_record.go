package devstack

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/miekg/dns"
	"golang.org/x/net/idna"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// RecordSet has all records of one type at one name in the playground.
type RecordSet struct {
	Name      string    `json:"name"` // lowercase, without trailing dot
	Type      string    `json:"type"`
	Values    []string  `json:"values"` // TXT as plain text, other types in presentation format
	TTL       int       `json:"ttl"`    // seconds
	UpdatedAt time.Time `json:"updated_at"`

	rrs []dns.RR
}

// playgroundTypes are the types that can be set. SOA is built in.
var playgroundTypes = []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeCNAME, dns.TypeTXT, dns.TypeMX,
	dns.TypeCAA, dns.TypeNS,
	dns.TypeSRV, dns.TypePTR, dns.TypeTLSA, dns.TypeHTTPS, dns.TypeSVCB, dns.TypeDS, dns.TypeDNSKEY}

const maxPlaygroundTTL = 7 * 24 * 60 * 60 // seconds; larger values are probably mistakes

// parseRecordName returns the canonical FQDN of a name that a user entered.
func parseRecordName(name string) (string, error) {
	bad := func(detail string) error {
		return controlplane.Invalid("/name", "invalid-record-name", detail,
			`Enter a full DNS name such as "_acme-challenge.example.com".`)
	}
	trimmed := strings.TrimSuffix(strings.TrimSpace(name), ".")
	switch {
	case trimmed == "":
		return "", bad("The name is empty.")
	case strings.ContainsFunc(trimmed, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune(`\"();$@`, r)
	}):
		return "", bad(fmt.Sprintf("The name %q contains a character that is not allowed.",
			trimmed))
	}
	if ascii, err := idna.New(idna.MapForLookup(),
		idna.StrictDomainName(false)).ToASCII(trimmed); err == nil {
		trimmed = ascii
	}
	if _, ok := dns.IsDomainName(trimmed); !ok {
		return "", bad(
			fmt.Sprintf(
				"The name %q is not a valid DNS name: labels have 1 to 63 bytes, and a name has at most 253.", trimmed))
	}
	return dns.CanonicalName(trimmed), nil
}

// parseRecordType returns the type for its mnemonic. Case is ignored.
func parseRecordType(typ string) (uint16, error) {
	t, ok := dns.StringToType[strings.ToUpper(strings.TrimSpace(typ))]
	if !ok || !slices.Contains(playgroundTypes, t) {
		var names []string
		for _, t := range playgroundTypes {
			names = append(names, dns.TypeToString[t])
		}
		return 0, controlplane.Invalid("/type",
			"invalid-record-type", fmt.Sprintf("The type %q is not supported.", typ),
			"Use one of "+strings.Join(names, ", ")+".")
	}
	return t, nil
}

// parseRecordSet returns the records of a set.
func parseRecordSet(name string, t uint16, values []string, ttl int) ([]dns.RR, error) {
	if ttl < 0 || ttl > maxPlaygroundTTL {
		return nil, controlplane.Invalid("/ttl",
			"invalid-ttl", fmt.Sprintf("The TTL %d is out of range.", ttl),
			"Enter the TTL in seconds, from 0 to "+strconv.Itoa(maxPlaygroundTTL)+".")
	}
	if len(values) == 0 {
		return nil, controlplane.Invalid("/values", "missing-values", "A value is missing.",
			"Enter at least one value, or delete the record set.")
	}
	if t == dns.TypeCNAME && len(values) > 1 {
		return nil, controlplane.Invalid("/values", "many-cnames",
			"A name can have only one CNAME (RFC 1034 §3.6.2).", "Enter one value.")
	}
	var rrs []dns.RR
	for i, v := range values {
		rr, err := parseRecordValue(name, t, v, ttl)
		if err != nil {
			return nil, controlplane.Invalid("/values/"+strconv.Itoa(i),
				"invalid-value", err.Error(), exampleValue(t))
		}
		if !slices.ContainsFunc(rrs, func(o dns.RR) bool { return dns.IsDuplicate(o, rr) }) {
			rrs = append(rrs, rr)
		}
	}
	return rrs, nil
}

func parseRecordValue(name string, t uint16, value string, ttl int) (dns.RR, error) {
	value = strings.TrimSpace(value)
	// the range has been checked
	hdr := dns.RR_Header{Name: name, Rrtype: t, Class: dns.ClassINET, Ttl: uint32(ttl)}
	switch {
	case value == "":
		return nil, fmt.Errorf("empty value")
	case strings.ContainsFunc(value, unicode.IsControl):
		return nil, fmt.Errorf("the value contains a control character")
	}
	switch t {
	case dns.TypeA, dns.TypeAAAA:
		ip, err := netip.ParseAddr(value)
		if err != nil || ip.Is4() != (t == dns.TypeA) || ip.Zone() != "" {
			return nil, fmt.Errorf("%q is not a valid %s address", value, dns.TypeToString[t])
		}
		if t == dns.TypeA {
			return &dns.A{Hdr: hdr, A: ip.AsSlice()}, nil
		}
		return &dns.AAAA{Hdr: hdr, AAAA: ip.AsSlice()}, nil
	case dns.TypeCNAME, dns.TypeNS, dns.TypePTR:
		target, err := parseRecordName(value)
		if err != nil {
			return nil, fmt.Errorf("%q is not a valid DNS name", value)
		}
		switch t {
		case dns.TypeCNAME:
			return &dns.CNAME{Hdr: hdr, Target: target}, nil
		case dns.TypeNS:
			return &dns.NS{Hdr: hdr, Ns: target}, nil
		}
		return &dns.PTR{Hdr: hdr, Ptr: target}, nil
	case dns.TypeTXT:
		if !strings.HasPrefix(value, `"`) {
			return &dns.TXT{Hdr: hdr, Txt: txtStrings(value)}, nil
		}
	}
	// The zone file parser needs a whole line; the name is set afterwards.
	rr, err := dns.NewRR(". 0 IN " + dns.TypeToString[t] + " " + value)
	if err != nil || rr == nil || rr.Header().Rrtype != t {
		return nil, fmt.Errorf("%q is not valid %s data", value, dns.TypeToString[t])
	}
	*rr.Header() = hdr
	return rr, nil
}

func exampleValue(t uint16) string {
	examples := map[uint16]string{
		dns.TypeA: "192.0.2.1", dns.TypeAAAA: "2001:db8::1", dns.TypeCNAME: "target.example.net",
		dns.TypeNS:  "ns1.example.net",
		dns.TypeTXT: "any text", dns.TypeMX: "10 mail.example.com",
		dns.TypeCAA: `0 issue "letsencrypt.org"`, dns.TypeSRV: "10 5 443 host.example.com",
	}
	if e, ok := examples[t]; ok {
		return dns.TypeToString[t] + " values look like: " + e
	}
	return "Enter the value in zone file format."
}

// recordValue is the inverse of parseRecordValue.
func recordValue(rr dns.RR) string {
	presentation := strings.TrimSpace(strings.TrimPrefix(rr.String(), rr.Header().String()))
	switch rr := rr.(type) {
	case *dns.CNAME:
		return strings.TrimSuffix(rr.Target, ".")
	case *dns.NS:
		return strings.TrimSuffix(rr.Ns, ".")
	case *dns.TXT:
		plain := txtPlain(rr.Txt)
		printable := utf8.ValidString(plain) && !strings.ContainsFunc(plain, unicode.IsControl) &&
			strings.TrimSpace(plain) == plain
		if printable && plain != "" && !strings.HasPrefix(plain, `"`) {
			return plain
		}
	}
	return presentation
}

// txtStrings splits text into character strings of at most 255 bytes, escaped as miekg/dns stores
// them.
func txtStrings(plain string) []string {
	var out []string
	for chunk := range slices.Chunk([]byte(plain), 255) {
		out = append(out, strings.ReplaceAll(string(chunk), `\`, `\\`))
	}
	return out
}

// txtPlain joins the character strings of a TXT record and removes the escapes (RFC 1035 §5.1).
func txtPlain(txt []string) string {
	s := strings.Join(txt, "")
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		if i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 10, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		i++
		b.WriteByte(s[i])
	}
	return b.String()
}
