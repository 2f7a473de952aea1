package provider

import (
	"cmp"
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
	// recheckEvery is the interval between requested checks while the record is not found. The
	// service's own checks back off.
	recheckEvery = 30 * time.Second
	// errorPoll is the interval between polls of a domain in status error while a job that may
	// recover it runs.
	errorPoll = 2 * time.Second
)

// wait waits until the domain is delegated or has its certificate. It adds an error if that is
// impossible, if the limit expires, or if the context is done.
func (r *domainValidationResource) wait(
	ctx context.Context, m *domainValidationModel, limit time.Duration, diags *diag.Diagnostics,
) {
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	defer r.domains.forget()
	w := &wait{client: r.client, now: r.now, id: m.DomainID.ValueString(),
		certificate: m.WaitFor.ValueString() == waitForCertificate,
		revision:    m.OptionsRevision.ValueInt64()}

	d, err := r.client.Domain(within, w.id)
	if err == nil {
		if m.checkRecords(d, diags); diags.HasError() {
			return
		}
		d, err = w.run(within, d)
	}
	switch {
	case err == nil:
		if w.certificate {
			warnOfChain(d, path.Root("domain_id"), diags)
		}
	case ctx.Err() != nil:
		problem{doing: "wait for the domain " + w.label(d)}.add(ctx, diags, ctx.Err())
	case within.Err() != nil:
		diags.AddAttributeError(path.Root("domain_id"),
			fmt.Sprintf("%s: no %s within %s", w.label(d), w.awaited(d), limit),
			w.explain(d))
	case errors.Is(err, errStuck):
		diags.AddAttributeError(path.Root("domain_id"), w.label(d)+": the wait for the "+
			w.awaited(d)+" can't succeed", w.explain(d))
	default:
		problem{doing: "wait for the domain " + w.label(d), at: path.Root("domain_id")}.add(ctx,
			diags, err)
	}
}

// reasonOutdated is the reason of a domain whose certificate is not replaced automatically.
const reasonOutdated = "certificate-outdated"

// errStuck means that a longer wait would not help.
var errStuck = errors.New("the domain no longer makes progress")

// wait is a wait for one domain.
type wait struct {
	client      *client.Client
	id          string
	now         func() time.Time
	certificate bool  // wait for it, not only for the delegation
	revision    int64 // of the options that the certificate must have; 0 for any

	want        client.JobType // type of the last requested job
	requestedAt time.Time      // when it was requested
	job         *client.Job    // the job, nil if the request failed
}

// run watches the domain and requests checks, because the service's own checks back off. It returns
// the last known state of the domain.
func (w *wait) run(ctx context.Context, d *client.Domain) (*client.Domain, error) {
	for {
		switch {
		case w.done(d):
			return d, nil
		case w.byRequest(d):
			return d, errStuck
		case w.failed(d) && w.settled(ctx):
			// The job has ended. The domain was read before that and may be outdated.
			if now, err := w.client.Domain(ctx, w.id); err != nil || w.failed(now) {
				return cmp.Or(now, d), cmp.Or(err, errStuck)
			} else if d = now; w.done(d) {
				return d, nil
			}
		}
		w.request(ctx, d)

		interval := recheckEvery
		if w.failed(d) {
			interval = errorPoll
		}
		before := d
		window, cancel := context.WithTimeout(ctx, interval)
		seen, err := w.client.WaitDomain(window, w.id, func(now *client.Domain) bool {
			return w.done(now) || now.Status != before.Status ||
				delegated(now) != delegated(before) || w.failed(now) != w.failed(before) ||
				w.byRequest(now)
		})
		ended := window.Err() != nil
		cancel()
		d = cmp.Or(seen, d)
		if ctx.Err() != nil {
			return d, ctx.Err()
		}
		if err != nil && !ended {
			return d, err
		}
	}
}

func (w *wait) done(d *client.Domain) bool {
	return delegated(d) && (!w.certificate || d.Status == client.DomainStatusActive &&
		w.reached(d))
}

// reached reports whether the certificate has the revision of the options that is waited for. An
// older version of the service reports none.
func (w *wait) reached(d *client.Domain) bool {
	has, err := d.CertificateRevision.Get()
	return w.revision == 0 || d.OptionsRevision == 0 || err == nil && has >= w.revision
}

// outdated reports whether the domain has a certificate, and the wait is for the next one.
func (w *wait) outdated(d *client.Domain) bool {
	return w.certificate && d.Status == client.DomainStatusActive && !w.reached(d)
}

// byRequest reports whether a certificate is ordered only by request.
func (w *wait) byRequest(d *client.Domain) bool {
	switch {
	case !w.certificate || d.AutoIssue || !delegated(d) || d.Status == client.DomainStatusIssuing:
		return false
	case d.Status == client.DomainStatusActive:
		return w.outdated(d) && d.StatusSummary.Reason == reasonOutdated
	}
	return true
}

// failed reports whether the service does not continue automatically.
func (w *wait) failed(d *client.Domain) bool {
	return d.Status == client.DomainStatusError || w.outdated(d) && !continues(d)
}

// request requests a check or an order now, at most every recheckEvery. If the service rejects it,
// the service's next scheduled check follows anyway.
func (w *wait) request(ctx context.Context, d *client.Domain) {
	want, call := client.JobTypeDnsCheck, w.client.VerifyDomain
	if delegated(d) {
		// An earlier order failed, or auto_issue was set after the delegation.
		if !w.certificate || d.Status == client.DomainStatusIssuing ||
			d.Status == client.DomainStatusActive && !w.failed(d) {
			return
		}
		want, call = client.JobTypeStartIssuance, w.client.IssueDomain
	}
	if want == w.want && w.now().Sub(w.requestedAt) < recheckEvery {
		return
	}
	job, err := call(ctx, w.id)
	w.want, w.requestedAt = want, w.now()
	if err != nil {
		tflog.Debug(ctx, "request for a job of the domain failed",
			map[string]any{"domain_id": w.id, "error": err.Error()})
		return
	}
	w.job = job
}

// settled reports whether the requested job has ended, so that a status error is final. Before the
// first request, the status is from an earlier error.
func (w *wait) settled(ctx context.Context) bool {
	if w.requestedAt.IsZero() {
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

// awaited names what is waited for.
func (w *wait) awaited(d *client.Domain) string {
	switch {
	case !w.certificate:
		return waitForDelegation
	case d != nil && w.outdated(d):
		return fmt.Sprintf("certificate with options_revision %d", w.revision)
	}
	return waitForCertificate
}

func (w *wait) label(d *client.Domain) string {
	if d == nil {
		return w.id
	}
	return d.Name
}

// explain describes why the wait failed, and the next steps.
func (w *wait) explain(d *client.Domain) string {
	if d == nil {
		return "The domain " + w.id + " could not be read in that time."
	}
	after := ", and the service continues automatically. Apply again to continue waiting."
	if !continues(d) {
		after = ". Apply again after the next step."
	}
	return w.cause(d) + "\n\nThe domain is unchanged" + after
}

// cause describes the findings of the service: the cause, the observed and expected values, and the
// next step.
func (w *wait) cause(d *client.Domain) string {
	var parts []string
	if w.byRequest(d) {
		parts = append(parts,
			"The domain has auto_issue = false, so no certificate is issued. Set auto_issue = true, or wait_for = \"delegation\".")
	}
	parts = append(parts, explainStatus(d))
	if !delegated(d) {
		if c := dnsReady(d); c != nil && c.Reason != d.StatusSummary.Reason {
			parts = append(parts, explainCondition(*c))
		}
		parts = append(parts, requiredRecords(d))
	}
	return strings.Join(parts, "\n\n")
}
