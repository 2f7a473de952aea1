package dashboard

import (
	"net/http"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// domainRemoval is the form to delete a domain.
type domainRemoval struct {
	Action string
	Name   string   // to type as confirmation
	Hosts  []string // of the records that are no longer needed
	Valid  bool     // the certificate stays valid
	Error  string
}

func newDomainRemoval(d *controlplane.Domain) *domainRemoval {
	removal := &domainRemoval{Action: "/domains/" + d.ID + "/delete", Name: d.Name,
		Valid: d.CertificateID != ""}
	for _, base := range d.Bases() {
		removal.Hosts = append(removal.Hosts, rules.ChallengeName(base))
	}
	return removal
}

// deleteDomain deletes a domain after its name was typed as confirmation.
func (d *Dashboard) deleteDomain(w http.ResponseWriter, v *visit) error {
	domain, err := d.domain(v)
	if err != nil {
		return err
	}
	if err := v.ParseForm(); err != nil {
		return badForm(err)
	}
	typed := strings.TrimSpace(v.PostForm.Get("confirm"))
	if name, err := rules.CanonicalName(typed); err != nil || name != domain.Name {
		removal := newDomainRemoval(domain)
		removal.Error = "The name does not match. Nothing was deleted. Type " + domain.Name + "."
		return d.showDomainSettings(w, v, http.StatusUnprocessableEntity, domain,
			newSettingsForm(domain), removal)
	}
	err = d.lifecycle.DeleteDomain(v.Context(), d.actor(v), v.org.ID, domain.ID, 0)
	if err != nil {
		return err
	}
	d.setFlash(w, "domain-deleted")
	http.Redirect(w, v.Request, "/domains", http.StatusSeeOther)
	return nil
}
