package controlplane

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

var targetEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// Target returns the label in the validation zone that a name's CNAME points to: lower-case base32
// of the first 160 bits of an HMAC-SHA256 over organization and name. Without the key, another
// organization's target cannot be guessed. An organization gets the same target each time that it
// adds the name.
func Target(key []byte, orgID, name string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(orgID))
	mac.Write([]byte{0}) // neither part can contain a zero byte
	mac.Write([]byte(name))
	return strings.ToLower(targetEncoding.EncodeToString(mac.Sum(nil)[:20]))
}

// Record is the CNAME that a customer creates.
type Record struct {
	Name   string `json:"name"` // _acme-challenge.example.com
	Type   string `json:"type"` // always CNAME
	Target string `json:"target"`
}

// NewRecord returns the record for a name with the given target label in a zone.
func NewRecord(name, label, zone string) Record {
	return Record{Name: rules.ChallengeName(name), Type: "CNAME", Target: label + "." + zone}
}
