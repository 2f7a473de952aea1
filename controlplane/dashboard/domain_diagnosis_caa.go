package dashboard

import (
	"slices"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// caaView is which CAs the CAA records of a name allow.
type caaView struct {
	Sets []caaSet // that apply, each once; empty without CAA records
	CAs  []caaRow
	Text string // that applies to each CA
}

// caaSet is the CAA records at a name.
type caaSet struct {
	At      string
	Records string // one per line
}

type caaRow struct {
	CA   string
	Pill pill
	Text string // empty if it is stated elsewhere
}

// newCAAView returns the findings about the CAs, or nil without a CA. stated are the texts that the
// page shows elsewhere.
func newCAAView(all []controlplane.CAAFinding, stated string) *caaView {
	if len(all) == 0 {
		return nil
	}
	view := &caaView{}
	for _, f := range all {
		set := caaSet{At: f.FoundAt, Records: strings.Join(f.Records, "\n")}
		if f.Alias != "" {
			set.At += " → " + f.Alias
		}
		if len(f.Records) > 0 && !slices.Contains(view.Sets, set) {
			view.Sets = append(view.Sets, set)
		}
		row := caaRow{CA: f.CA, Pill: pill{"ok", "check", "Allowed"}, Text: f.Summary}
		switch {
		case !f.Allowed:
			row.Pill = reasonPill(f.Code)
		case len(f.Identities) == 0:
			row.Pill = pill{"neutral", "dot", "Not checked"}
		}
		// The finding about the first CA that is forbidden names the others.
		_, why, _ := strings.Cut(f.Summary, ". ")
		if strings.Contains(stated, f.Summary) || (why != "" && strings.Contains(stated, why)) {
			row.Text = ""
		}
		view.CAs = append(view.CAs, row)
	}
	other := func(r caaRow) bool { return r.Text != view.CAs[0].Text }
	if len(view.CAs) > 1 && !slices.ContainsFunc(view.CAs, other) {
		view.Text = view.CAs[0].Text
		for i := range view.CAs {
			view.CAs[i].Text = ""
		}
	}
	return view
}
