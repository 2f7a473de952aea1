package dashboard

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

const domainDiagnosisPath = domainPath + "/diagnosis"

func diagnosisURL(domainID string) string { return domainURL(domainID) + "/diagnosis" }

// diagnosisView is the data for templates/domain_diagnosis.html.
type diagnosisView struct {
	URL      string
	Domain   string // URL
	Name     string
	Checked  moment
	Pill     pill          // if nothing prevents issuance
	Causes   []findingView // that prevent issuance, the most likely first
	Warnings []findingView
	Names    []diagnosedName
	Several  bool // the domain has several names
}

// findingView is a cause or a warning.
type findingView struct {
	Name     string // with the finding, of a domain with several
	Pill     pill
	Summary  string
	Observed string
	Expected string
	Fix      string
	Until    moment // when it ends automatically
}

// diagnosedName has the answers about one of a domain's names.
type diagnosedName struct {
	ID       string // of the section
	Name     string
	Unicode  string // if it differs
	Pill     pill
	Ready    bool
	Record   string // that is expected; empty if a finding states it
	Zone     string // with its DNS host, if it is known
	Paths    []pathRow
	CAA      *caaView // nil without a CA
	DNSSEC   pill
	Answers  string // all of them, as text
	Answered int    // their number
}

// domainDiagnosisPage checks a domain's DNS now, as a CA does, and shows all answers. It changes
// nothing: it is a GET request, so that a reload and a link repeat the check.
func (d *Dashboard) domainDiagnosisPage(w http.ResponseWriter, v *visit) error {
	domain, err := d.domain(v)
	if err != nil {
		return err
	}
	seen, err := edge.Diagnose(v.Context(), d.config.Diagnoses, v.now, v.org.ID, domain.Name,
		func(ctx context.Context) (controlplane.DomainExamination, error) {
			return d.lifecycle.Examine(ctx, domain)
		})
	if err != nil {
		return err
	}
	v.now = d.now().UTC() // the check took seconds
	return d.render(w, v, http.StatusOK, "domain_diagnosis",
		layout{Title: "Diagnosis of " + domain.Name, Section: "domains",
			Page: d.diagnosisView(v, domain, seen)})
}

func (d *Dashboard) diagnosisView(
	v *visit, domain *controlplane.Domain, e controlplane.DomainExamination,
) *diagnosisView {
	view := &diagnosisView{URL: diagnosisURL(domain.ID), Domain: domainURL(domain.ID),
		Name: domain.Name, Checked: v.at(e.Delegation.CheckedAt), Several: len(e.Names) > 1,
		Pill: pill{"ok", "check", controlplane.ConditionKindOf(controlplane.DNSReady).True}}
	var further []findingView
	for _, m := range e.Missing {
		i := slices.IndexFunc(e.Names, func(n controlplane.NameExamination) bool {
			return n.Name == m.Name
		})
		for j, cause := range e.CausesOf(e.Names[i]) {
			if f := v.findingView(m.Name, cause, view.Several); j == 0 {
				view.Causes = append(view.Causes, f)
			} else {
				further = append(further, f)
			}
		}
	}
	view.Causes = append(view.Causes, further...)
	for _, n := range e.Names {
		for _, w := range n.Warnings {
			f := v.findingView(n.Name, w, view.Several)
			f.Pill = pill{"warn", "alert", reason(w.Code)}
			view.Warnings = append(view.Warnings, f)
		}
	}
	for i, n := range e.Names {
		one := view.diagnosedName(n, d.lifecycle.DelegationAt(domain, n.Name), e.CausesOf(n))
		one.ID = "name-" + strconv.Itoa(i+1)
		view.Names = append(view.Names, one)
	}
	return view
}

func (v *visit) findingView(name string, d controlplane.Diagnosis, several bool) findingView {
	f := findingView{Pill: reasonPill(d.Code), Summary: d.Summary, Observed: d.Observed,
		Expected: d.Expected, Fix: d.Fix, Until: v.at(d.Until)}
	if several {
		f.Name = name
	}
	return f
}

// diagnosedName returns the answers about a name, without what the findings state.
func (view *diagnosisView) diagnosedName(
	n controlplane.NameExamination, record controlplane.Record, causes []controlplane.Diagnosis,
) diagnosedName {
	one := diagnosedName{Name: n.Name, Ready: len(causes) == 0, Pill: view.Pill,
		Zone: n.Delegation.Zone, DNSSEC: dnssecPill(n.DNSSEC),
		Record: record.Name + " → " + record.Target, CAA: newCAAView(n.CAA, view.summaries()),
		Paths: pathRows(n.Delegation.Evidence, record), Answers: answersText(n.Delegation.Evidence),
		Answered: len(n.Delegation.Evidence)}
	if u := rules.UnicodeName(n.Name); u != n.Name {
		one.Unicode = u
	}
	if !one.Ready {
		one.Pill = reasonPill(causes[0].Code)
	}
	if one.Zone != "" && n.Delegation.DNSHost != "" {
		one.Zone += " (" + n.Delegation.DNSHost + ")"
	}
	if slices.ContainsFunc(view.Causes, func(f findingView) bool {
		return strings.Contains(f.Expected, record.Name) &&
			strings.Contains(f.Expected, record.Target)
	}) {
		one.Record = ""
	}
	return one
}

// summaries returns the summaries of the findings, one per line.
func (view *diagnosisView) summaries() string {
	var all []string
	for _, f := range slices.Concat(view.Causes, view.Warnings) {
		all = append(all, f.Summary)
	}
	return strings.Join(all, "\n")
}

// dnssecPill returns the pill of a DNSSEC state (RFC 4035 §4.3).
func dnssecPill(state string) pill {
	switch state {
	case controlplane.DNSSECSecure:
		return pill{"ok", "check", "Secure"}
	case controlplane.DNSSECInsecure:
		return pill{"neutral", "dot", "Not signed"}
	case controlplane.DNSSECBogus:
		return reasonPill(controlplane.CauseDNSSECBogus)
	}
	return pill{"neutral", "dot", "Unknown"}
}

// answersText returns all answers as text: each question with its result, then the records.
func answersText(all []controlplane.Observation) string {
	var b strings.Builder
	for _, o := range all {
		result := strings.TrimPrefix(o.RCode+", "+o.Error, ", ")
		b.WriteString(o.Source + ": " + o.Name + " " + o.Type + ": " +
			strings.TrimSuffix(result, ", ") + "\n")
		for _, record := range o.Answer {
			b.WriteString("    " + record + "\n")
		}
		if more := o.Count - len(o.Answer); more > 0 {
			b.WriteString("    and " + strconv.Itoa(more) + " more\n")
		}
	}
	return b.String()
}
