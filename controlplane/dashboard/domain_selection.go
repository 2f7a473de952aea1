package dashboard

import (
	"net/http"
	"slices"
	"strings"

	"github.com/gorilla/mux"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// selectionPath is the path of the selected domains of a list. The IDs in it are separated by
// commas, so that a form on the page still has them after a sign-in.
const (
	selectedPath  = "/domains/selected"
	selectionPath = selectedPath + "/{selection}"
)

// selectionMost is the number of domains that can be selected together: those of a page.
const selectionMost = domainsPerPage

// selectionView is the data for templates/domain_selection.html.
type selectionView struct {
	URL     string
	Rows    []domainRow
	Count   int
	Labels  selectionLabels
	Confirm selectionConfirm
}

// selectionLabels is the form that changes labels.
type selectionLabels struct{ Set, Remove, Error string }

// selectionConfirm is the form that deletes the domains.
type selectionConfirm struct{ Error string }

// selectDomains redirects from the list of domains to the page of those that were selected in it.
func (d *Dashboard) selectDomains(w http.ResponseWriter, v *visit) error {
	ids := v.URL.Query()["domain"]
	if len(ids) == 0 {
		d.setFlash(w, "none-selected")
		http.Redirect(w, v.Request, "/domains", http.StatusSeeOther)
		return nil
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if err := checkSelection(ids); err != nil {
		return err
	}
	http.Redirect(w, v.Request, selectionURL(ids), http.StatusSeeOther)
	return nil
}

func selectionURL(ids []string) string { return selectedPath + "/" + strings.Join(ids, ",") }

// checkSelection returns an error for IDs that no page links to.
func checkSelection(ids []string) error {
	if len(ids) > selectionMost {
		return &controlplane.Error{Kind: controlplane.KindInvalid, Code: "selection-too-large",
			Message: "Too many domains are selected.",
			Fix:     "Select the domains of one page at a time."}
	}
	for _, id := range ids {
		if !controlplane.IsID(controlplane.PrefixDomain, id) {
			return controlplane.NotFound("domain", id)
		}
	}
	return nil
}

// selection returns the selected domains in the URL, by ID: every form locks them in this order. A
// domain that does not exist is left out, and the error is KindNotFound if none does.
func (d *Dashboard) selection(v *visit) ([]controlplane.Domain, error) {
	ids := strings.Split(mux.Vars(v.Request)["selection"], ",")
	if err := checkSelection(ids); err != nil {
		return nil, err
	}
	domains, _, err := d.store.ListDomains(v.Context(), v.org.ID, postgres.DomainFilter{IDs: ids,
		Limit: selectionMost})
	if err == nil && len(domains) == 0 {
		err = controlplane.NotFound("domain", ids[0])
	}
	slices.SortFunc(domains, func(a, b controlplane.Domain) int {
		return strings.Compare(a.ID, b.ID)
	})
	return domains, err
}

// selectionPage shows the selected domains and what can be done with all of them.
func (d *Dashboard) selectionPage(w http.ResponseWriter, v *visit) error {
	domains, err := d.selection(v)
	if err != nil {
		return err
	}
	return d.showSelection(w, v, http.StatusOK, domains, selectionView{})
}

func (d *Dashboard) showSelection(
	w http.ResponseWriter, v *visit, status int, domains []controlplane.Domain, view selectionView,
) error {
	ids := make([]string, len(domains))
	for i := range domains {
		ids[i] = domains[i].ID
		view.Rows = append(view.Rows, v.domainRow(&domains[i], domainList{Sort: defaultSort}))
	}
	slices.SortFunc(view.Rows, func(a, b domainRow) int { return strings.Compare(a.Name, b.Name) })
	view.URL, view.Count = selectionURL(ids), len(domains)
	return d.render(w, v, status, "domain_selection", layout{Title: "Selected domains",
		Section: "domains", Flash: d.takeFlash(w, v), Page: view})
}
