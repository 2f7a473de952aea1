package dashboard

import (
	"maps"
	"net/http"
	"strconv"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// checkSelected requests a DNS check of each selected domain.
func (d *Dashboard) checkSelected(w http.ResponseWriter, v *visit) error {
	return d.eachSelected(w, v, "Check DNS now", func(domain *controlplane.Domain) (string, error) {
		_, started, err := d.lifecycle.RequestCheck(v.Context(), d.actor(v), v.org.ID, domain.ID)
		return workText("check", started), err
	})
}

// renewSelected requests a certificate for each selected domain: the renewal, or the first one.
func (d *Dashboard) renewSelected(w http.ResponseWriter, v *visit) error {
	return d.eachSelected(w, v, "Renew now", func(domain *controlplane.Domain) (string, error) {
		if domain.CertificateID == "" {
			_, started, err := d.lifecycle.RequestIssue(v.Context(), d.actor(v), v.org.ID,
				domain.ID)
			return workText("issue", started), err
		}
		_, started, err := d.lifecycle.RequestRenew(v.Context(), d.actor(v), v.org.ID, domain.ID)
		return workText("renew", started), err
	})
}

// workText is the message of setWorkFlash.
func workText(flash string, started bool) string {
	if !started {
		flash += "-running"
	}
	return flashes[flash]
}

// labelSelected sets and removes labels of each selected domain. Other labels stay.
func (d *Dashboard) labelSelected(w http.ResponseWriter, v *visit) error {
	if err := v.ParseForm(); err != nil {
		return badForm(err)
	}
	form := selectionLabels{Set: v.PostForm.Get("set"), Remove: v.PostForm.Get("remove")}
	set, wrong := parseLabels(form.Set)
	remove := strings.FieldsFunc(form.Remove, func(r rune) bool {
		return strings.ContainsRune(" \t\r\n,", r)
	})
	for _, key := range remove {
		if rules.CheckLabelKey(key) != nil && wrong == "" {
			wrong = "“" + shortened(key) + "” is not the key of a label."
		}
	}
	if wrong == "" && len(set)+len(remove) == 0 {
		wrong = "Enter a label to set, or a key to remove."
	}
	if form.Error = wrong; wrong != "" {
		return d.showSelectionAgain(w, v, selectionView{Labels: form})
	}
	return d.eachSelected(w, v, "Change labels", func(domain *controlplane.Domain) (string, error) {
		labels := maps.Clone(domain.Labels)
		if labels == nil {
			labels = map[string]string{}
		}
		for _, key := range remove {
			delete(labels, key)
		}
		maps.Copy(labels, set)
		if maps.Equal(labels, domain.Labels) {
			return "The labels are as requested already.", nil
		}
		_, err := d.lifecycle.UpdateDomain(v.Context(), d.actor(v), v.org.ID, domain.ID, 0,
			lifecycle.DomainPatch{Labels: &labels})
		return "Labels changed.", err
	})
}

// deleteSelected deletes each selected domain after their number was typed as confirmation.
func (d *Dashboard) deleteSelected(w http.ResponseWriter, v *visit) error {
	if err := v.ParseForm(); err != nil {
		return badForm(err)
	}
	domains, err := d.selection(v)
	if err != nil {
		return err
	}
	count := strconv.Itoa(len(domains))
	if strings.TrimSpace(v.PostForm.Get("confirm")) != count {
		return d.showSelection(w, v, http.StatusUnprocessableEntity, domains, selectionView{
			Confirm: selectionConfirm{Error: "The number does not match. Nothing was deleted. Type " +
				count + "."}})
	}
	return d.eachSelected(w, v, "Delete", func(domain *controlplane.Domain) (string, error) {
		return flashes["domain-deleted"], d.lifecycle.DeleteDomain(v.Context(), d.actor(v),
			v.org.ID, domain.ID, 0)
	})
}

// showSelectionAgain responds with the page of the selected domains and a form with an error.
func (d *Dashboard) showSelectionAgain(
	w http.ResponseWriter, v *visit, view selectionView,
) error {
	domains, err := d.selection(v)
	if err != nil {
		return err
	}
	return d.showSelection(w, v, http.StatusUnprocessableEntity, domains, view)
}
