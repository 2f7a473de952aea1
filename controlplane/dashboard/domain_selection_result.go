package dashboard

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// selectionResultPath is the path of the page with the results of one action.
const selectionResultPath = "/domains/results/{result}"

// selectionResultLife is how long the results of an action can be read.
const selectionResultLife = time.Hour

// selectionResult has the results of an action on selected domains. It is the data for
// templates/domain_selection_result.html, and is stored sealed.
type selectionResult struct {
	Action string
	Rows   []selectedRow
	Failed int
}

// selectedRow is the result for one domain.
type selectedRow struct {
	Name, ID string
	Text     string
	Failed   bool
	Gone     bool // it has no page any longer
}

// Pill returns the pill of the result.
func (r selectedRow) Pill() pill {
	if r.Failed {
		return pill{"danger", "cross", "Not done"}
	}
	return pill{"ok", "check", "Done"}
}

// URL returns the path of the domain's page.
func (r selectedRow) URL() string { return domainURL(r.ID) }

// Title states how many domains the action was done for.
func (r selectionResult) Title() string {
	done := len(r.Rows) - r.Failed
	return fmt.Sprintf("%s: done for %d of %d", r.Action, done, len(r.Rows))
}

// eachSelected runs an action for each selected domain and redirects to the page with the results.
// The action returns what was done. An error of one domain changes nothing of it, and the action
// runs for the others.
//
// It is part of the transaction of the form (submit): each domain is a savepoint, and a repeated
// submission gets the same page.
func (d *Dashboard) eachSelected(
	w http.ResponseWriter, v *visit, action string,
	do func(*controlplane.Domain) (string, error),
) error {
	domains, err := d.selection(v)
	if err != nil {
		return err
	}
	result := selectionResult{Action: action}
	for i := range domains {
		row := selectedRow{Name: rules.UnicodeName(domains[i].Name), ID: domains[i].ID}
		row.Text, err = do(&domains[i])
		if e := controlplane.AsError(err); err != nil {
			if e.Kind == controlplane.KindInternal {
				return err
			}
			row.Text, row.Failed = strings.Join(messagesOf(e), " "), true
			row.Gone = e.Kind == controlplane.KindNotFound
			result.Failed++
		}
		if action == "Delete" && !row.Failed {
			row.Gone = true
		}
		result.Rows = append(result.Rows, row)
	}
	slices.SortFunc(result.Rows, func(a, b selectedRow) int {
		return strings.Compare(a.Name, b.Name)
	})
	path, err := d.keepResult(v, result)
	if err != nil {
		return err
	}
	http.Redirect(w, v.Request, path, http.StatusSeeOther)
	return nil
}

// keepResult stores the results of an action and returns the path of their page.
func (d *Dashboard) keepResult(v *visit, result selectionResult) (path string, err error) {
	text, err := json.Marshal(result)
	if err != nil {
		return "", err
	}
	random := rand.Text()
	key := resultKey(v, random)
	body, err := d.config.Sealer.Seal(text, key.SealedForPage())
	if err != nil {
		return "", err
	}
	path = strings.ReplaceAll(selectionResultPath, "{result}", random)
	return path, d.store.KeepAnswer(v.Context(), key,
		&postgres.Answer{Status: http.StatusOK, Body: body}, v.now)
}

// resultKey identifies the results of an action of the visit's user.
func resultKey(v *visit, random string) postgres.AnswerKey {
	return postgres.AnswerKey{OrgID: v.session.OrgID, Key: "results " + random,
		Method: http.MethodGet, Path: selectionResultPath,
		Hash: controlplane.HashSecret(v.session.User.ID)}
}

// selectionResultPage shows the results of an action to the user who requested it.
func (d *Dashboard) selectionResultPage(w http.ResponseWriter, v *visit) error {
	key := resultKey(v, mux.Vars(v.Request)["result"])
	kept, err := d.store.Answer(v.Context(), key, v.now.Add(-selectionResultLife))
	if controlplane.IsKind(err, controlplane.KindNotFound) {
		return controlplane.NotFound("result", "")
	}
	if err != nil {
		return err
	}
	text, err := d.config.Sealer.Open(kept.Body, key.SealedForPage())
	if err != nil {
		return err
	}
	var result selectionResult
	if err := json.Unmarshal(text, &result); err != nil {
		return err
	}
	return d.render(w, v, http.StatusOK, "domain_selection_result",
		layout{Title: result.Title(), Section: "domains", Page: result})
}
