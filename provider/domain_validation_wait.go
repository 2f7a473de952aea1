package provider

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

const (
	// recheckEvery is how often a check is asked for while the record is not seen. The service's own checks grow rarer.
	recheckEvery = 30 * time.Second
	// errorLook is how often a domain in status error is looked at, while the job that may bring it back runs.
	errorLook = 2 * time.Second
)

// wait returns when what is waited for is there, and adds an error when it cannot or does not come in time, or when the
// context ends.
func (r *domainValidationResource) wait(ctx context.Context, m *domainValidationModel, limit time.Duration, diags *diag.Diagnostics) {
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	defer r.domains.forget()
	w := &wait{client: r.client, id: m.DomainID.ValueString(), certificate: m.WaitFor.ValueString() == waitForCertificate}

	d, err := r.client.Domain(within, w.id)
	if err == nil {
		if fqdn := m.RecordFQDN.ValueString(); !m.RecordFQDN.IsNull() && !sameRecord(fqdn, d.Delegation.Name) {
			diags.AddAttributeError(path.Root("record_fqdn"), "The record has another name than the domain's delegation",
				fmt.Sprintf("The record is %s, but for %s it must be %s, a %s to %s. Some providers add the zone's name to the name of a record by themselves: then give them the name without the zone.",
					fqdn, d.Name, d.Delegation.Name, d.Delegation.Type, d.Delegation.Target))
			return
		}
		d, err = w.run(within, d)
	}
	switch {
	case err == nil:
	case ctx.Err() != nil:
		problem{doing: "wait for the domain " + w.label(d)}.add(ctx, diags, ctx.Err())
	case within.Err() != nil:
		diags.AddAttributeError(path.Root("domain_id"), fmt.Sprintf("%s: no %s within %s", w.label(d), m.WaitFor.ValueString(), limit), w.explain(d))
	case errors.Is(err, errStuck):
		diags.AddAttributeError(path.Root("domain_id"), w.label(d)+": no "+m.WaitFor.ValueString()+" will come", w.explain(d))
	default:
		problem{doing: "wait for the domain " + w.label(d), at: path.Root("domain_id")}.add(ctx, diags, err)
	}
}

// errStuck says that waiting longer would not help.
var errStuck = errors.New("the domain does not move any more")

// wait is one wait for one domain.
type wait struct {
	client      *client.Client
	id          string
	certificate bool // wait for it, not only for the delegation

	want  client.JobType // the work that was last asked for
	asked time.Time      // and when
	job   *client.Job    // and what came of it
}

// run watches the domain and asks for a check now and then, as the service's own become rare. It returns the domain as
// last seen.
func (w *wait) run(ctx context.Context, d *client.Domain) (*client.Domain, error) {
	for {
		switch {
		case w.done(d):
			return d, nil
		case w.certificate && delegated(d) && !d.AutoIssue && d.Status != client.DomainStatusIssuing && d.Status != client.DomainStatusActive:
			return d, errStuck
		case d.Status == client.DomainStatusError && w.settled(ctx):
			// The work has ended; the domain that was read before may be older than that.
			if now, err := w.client.Domain(ctx, w.id); err != nil || now.Status == client.DomainStatusError {
				return cmpOr(now, d), orStuck(err)
			} else if d = now; w.done(d) {
				return d, nil
			}
		}
		w.ask(ctx, d)

		look := recheckEvery
		if d.Status == client.DomainStatusError {
			look = errorLook
		}
		before := d
		window, cancel := context.WithTimeout(ctx, look)
		seen, err := w.client.WaitDomain(window, w.id, func(now *client.Domain) bool {
			return w.done(now) || now.Status != before.Status || delegated(now) != delegated(before)
		})
		ended := window.Err() != nil
		cancel()
		d = cmpOr(seen, d)
		if ctx.Err() != nil {
			return d, ctx.Err()
		}
		if err != nil && !ended {
			return d, err
		}
	}
}

func (w *wait) done(d *client.Domain) bool {
	return delegated(d) && (!w.certificate || d.Status == client.DomainStatusActive)
}

// ask has the service look now instead of at its next turn, every recheckEvery at most. That it may refuse is no harm: its
// own turn comes.
func (w *wait) ask(ctx context.Context, d *client.Domain) {
	want, call := client.JobTypeDnsCheck, w.client.VerifyDomain
	if delegated(d) {
		// It was given up, or auto_issue came after the delegation.
		if !w.certificate || d.Status == client.DomainStatusIssuing || d.Status == client.DomainStatusActive {
			return
		}
		want, call = client.JobTypeStartIssuance, w.client.IssueDomain
	}
	if want == w.want && time.Since(w.asked) < recheckEvery {
		return
	}
	job, err := call(ctx, w.id)
	w.want, w.asked = want, time.Now()
	if err != nil {
		tflog.Debug(ctx, "asking for the domain's work failed", map[string]any{"domain_id": w.id, "error": err.Error()})
		return
	}
	w.job = job
}

// settled reports whether nothing that was asked for is still under way, so that a status error stands. Before anything
// was asked for, it is an earlier error.
func (w *wait) settled(ctx context.Context) bool {
	if w.asked.IsZero() {
		return false
	}
	if w.job == nil {
		return true
	}
	job, err := w.client.Job(ctx, w.job.Id)
	if err != nil {
		return client.IsNotFound(err) || client.IsForbidden(err)
	}
	return job.Status == client.JobStatusSucceeded || job.Status == client.JobStatusFailed
}

func (w *wait) label(d *client.Domain) string {
	if d == nil {
		return w.id
	}
	return d.Name
}

// explain says why the wait has ended in vain, and what follows.
func (w *wait) explain(d *client.Domain) string {
	if d == nil {
		return "The domain " + w.id + " could not be read in that time."
	}
	return w.cause(d) + "\n\nThe domain stays as it is, and the service goes on by itself. Apply again to go on waiting."
}

// cause says what the service found out about the domain: the cause, what it saw, what it expected and the fix.
func (w *wait) cause(d *client.Domain) string {
	var parts []string
	if w.certificate && !d.AutoIssue && delegated(d) {
		parts = append(parts, "The domain has auto_issue = false, so that nothing issues a certificate. Set auto_issue = true, or wait_for = \"delegation\".")
	}
	for _, c := range d.Conditions {
		if c.Status == client.ConditionStatusTrue || (c.Type != client.ConditionTypeDNSReady && !w.certificate) {
			continue
		}
		if c.Type == client.ConditionTypeRenewalOnTrack || (c.Type == client.ConditionTypeCertificateReady && !delegated(d)) {
			continue // follows from the other
		}
		parts = append(parts, explainCondition(c))
	}
	if len(parts) == 0 {
		parts = append(parts, "Its status is "+strings.TrimSpace(string(d.Status)+" "+d.StatusReason)+".")
	}
	if !delegated(d) {
		parts = append(parts, fmt.Sprintf("The record that must be there: %s %s %s", d.Delegation.Name, d.Delegation.Type, d.Delegation.Target))
	}
	return strings.Join(parts, "\n\n")
}

func explainCondition(c client.Condition) string {
	text := sentence(c.Message)
	line := func(label string, value *string) {
		if value != nil && *value != "" {
			text += "\n" + label + *value
		}
	}
	line("Observed: ", c.Observed)
	line("Expected: ", c.Expected)
	line("Fix: ", c.Fix)
	line("Cause: ", &c.Reason)
	if c.NextCheckAt != nil {
		text += "\nNext check: " + c.NextCheckAt.UTC().Format(time.RFC3339)
	}
	return text
}

// delegated reports whether the record was seen.
func delegated(d *client.Domain) bool {
	for _, c := range d.Conditions {
		if c.Type == client.ConditionTypeDNSReady {
			return c.Status == client.ConditionStatusTrue
		}
	}
	return d.Status == client.DomainStatusIssuing || d.Status == client.DomainStatusActive
}

func cmpOr(a, b *client.Domain) *client.Domain {
	if a != nil {
		return a
	}
	return b
}

func orStuck(err error) error {
	if err != nil {
		return err
	}
	return errStuck
}
