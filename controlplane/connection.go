package controlplane

import (
	"encoding/base64"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/idna"
)

// ConnectionType is the kind of DNS host that a connection reaches.
type ConnectionType string

// ConnectionRFC2136 is a name server with dynamic updates that are signed with TSIG, such as BIND
// or Knot DNS.
const ConnectionRFC2136 ConnectionType = "rfc2136"

// ConnectionStatus is the result of the last test of a connection.
type ConnectionStatus string

// The statuses of a connection.
const (
	ConnectionOK          ConnectionStatus = "ok"
	ConnectionInvalid     ConnectionStatus = "invalid"     // the DNS host rejects the credentials
	ConnectionUnreachable ConnectionStatus = "unreachable" // the DNS host did not respond
)

// ConnectionTestEvery is the pause between the automatic tests of a connection.
const ConnectionTestEvery = 24 * time.Hour

// Connection is access to a customer's DNS host.
type Connection struct {
	ID           string
	OrgID        string
	Type         ConnectionType
	Name         string
	Sealed       []byte // the credentials as JSON, sealed with the ID as associated data
	Status       ConnectionStatus
	StatusDetail string // why it is not ok, for the customer; empty if it is
	LastTestedAt *time.Time
	NextTestAt   time.Time
	LastUsedAt   *time.Time // for a record; nil if it never was
	CreatedBy    string     // ID of the user or token
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// The codes of connections, beside CodeCredentialsInvalid.
const (
	CodeConnectionBusy    = "connection-busy"
	CodeConnectionInvalid = "connection-invalid"
	CodeHostUnreachable   = "dns-host-unreachable"
	CodeDNSChanged        = "dns-changed"
	CodeDNSConflict       = "dns-conflict"
	CodeNoZone            = "zone-not-in-connection"
)

// CodeCredentialsInvalid is the code of an invalid field of a connection's credentials, and of
// credentials that the DNS host rejects.
const CodeCredentialsInvalid = "credentials-invalid"

// The algorithms of TSIG keys (RFC 8945 §6).
const (
	HMACSHA256 = "hmac-sha256"
	HMACSHA512 = "hmac-sha512"
)

// MaxConnectionZones is how many zones the credentials of a name server can list.
const MaxConnectionZones = 100

// RFC2136Credentials are the credentials of a connection of type rfc2136.
type RFC2136Credentials struct {
	Server    string   `json:"server"` // host name or address, with an optional port
	KeyName   string   `json:"key_name"`
	Algorithm string   `json:"key_algorithm"` // HMACSHA256 or HMACSHA512
	KeySecret string   `json:"key_secret"`    // in base64
	Zones     []string `json:"zones"`         // in which records may be created
}

// Canonical returns the credentials with a port, an algorithm, and canonical names, and an error
// for each invalid field, under /credentials. No error contains the secret.
func (c RFC2136Credentials) Canonical() (RFC2136Credentials, []FieldError) {
	var invalid []FieldError
	reject := func(pointer, detail string) {
		invalid = append(invalid, FieldError{Pointer: "/credentials" + pointer,
			Code: CodeCredentialsInvalid, Detail: detail})
	}
	var ok bool
	if c.Server, ok = canonicalServer(c.Server); !ok {
		reject("/server", "Expected the host name or address of a name server, such as "+
			"ns1.example.com:53.")
	}
	if c.KeyName, ok = dnsName(c.KeyName); !ok {
		reject("/key_name", "Expected the name of a TSIG key, as configured at the name server.")
	}
	if c.Algorithm == "" {
		c.Algorithm = HMACSHA256
	}
	if c.Algorithm != HMACSHA256 && c.Algorithm != HMACSHA512 {
		reject("/key_algorithm", "Expected "+HMACSHA256+" or "+HMACSHA512+".")
	}
	if raw, err := base64.StdEncoding.DecodeString(c.KeySecret); err != nil || len(raw) < 16 {
		reject("/key_secret", "Expected the key's secret in base64, of at least 128 bits.")
	}
	if len(c.Zones) == 0 || len(c.Zones) > MaxConnectionZones {
		reject("/zones", "Expected 1 to "+strconv.Itoa(MaxConnectionZones)+
			" zones, in which records may be created.")
		return c, invalid
	}
	c.Zones = slices.Clone(c.Zones)
	for i, zone := range c.Zones {
		if c.Zones[i], ok = dnsName(zone); !ok {
			reject("/zones/"+strconv.Itoa(i), "Expected the name of a zone, such as example.com.")
		}
	}
	slices.Sort(c.Zones)
	c.Zones = slices.Compact(c.Zones)
	return c, invalid
}

// canonicalServer returns the server with a port.
func canonicalServer(s string) (string, bool) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = strings.Trim(s, "[]"), "53"
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return s, false
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return net.JoinHostPort(addr.String(), port), addr.Zone() == ""
	}
	name, ok := dnsName(host)
	return net.JoinHostPort(name, port), ok
}

// hostProfile converts names to A-labels. Names of keys and zones may contain underscores.
var hostProfile = idna.New(idna.MapForLookup(), idna.StrictDomainName(false))

// dnsName returns a name in lower case, as A-labels, without a trailing dot.
func dnsName(s string) (string, bool) {
	name := strings.ToLower(strings.TrimSuffix(s, "."))
	ascii, err := hostProfile.ToASCII(name)
	if err != nil || ascii == "" || len(ascii) > 253 {
		return s, false
	}
	for label := range strings.SplitSeq(ascii, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label,
			"abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return s, false
		}
	}
	return ascii, true
}
