package provider

import "regexp"

// Forms of IDs.
var (
	domainID      = idForm("dom")
	tokenID       = idForm("tok")
	webhookID     = idForm("whk")
	certificateID = idForm("crt")
	delegationID  = idForm("dlg")
	acmednsID     = idForm("ada")

	organizationID = idForm("org")
	connectionID   = idForm("con")
)

// idForm matches the TypeIDs with a prefix.
func idForm(prefix string) *regexp.Regexp {
	return regexp.MustCompile(`^` + prefix + `_[0-7][0-9a-hjkmnp-tv-z]{25}$`)
}
