package edge

import (
	"context"
	"errors"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const (
	// diagnosisTimeout is the timeout of one diagnosis.
	diagnosisTimeout = 10 * time.Second
	// DiagnosesAtOnce is the maximum number of concurrent diagnoses in this process: each sends
	// dozens of queries.
	DiagnosesAtOnce = 64
	// DiagnosesOfOne is the maximum for one organization.
	DiagnosesOfOne = 4
	// diagnosisRetry is the retry delay when the maximum is reached.
	diagnosisRetry = 2 * time.Second
)

// Diagnoses limits the time and the number of the diagnoses that this process makes on demand.
type Diagnoses struct {
	Gate    *controlplane.Gate
	Timeout time.Duration // of one diagnosis
}

// NewDiagnoses returns the limits for the API and the dashboard of a process, which share them.
func NewDiagnoses() *Diagnoses {
	return &Diagnoses{Gate: controlplane.NewGate(DiagnosesAtOnce, DiagnosesOfOne),
		Timeout: diagnosisTimeout}
}

// Diagnose calls examine for an organization's domain or delegation within the limits. It returns
// KindRateLimited "diagnosis-busy" if too many diagnoses are in progress at now, and
// KindUnavailable "diagnosis-timeout" if examine takes too long.
func Diagnose[T any](
	ctx context.Context, d *Diagnoses, now time.Time, orgID, name string,
	examine func(ctx context.Context) (T, error),
) (T, error) {
	var none T
	leave, ok := d.Gate.Enter(orgID)
	if !ok {
		return none, &controlplane.Error{Kind: controlplane.KindRateLimited,
			Code: "diagnosis-busy", RetryAt: now.Add(diagnosisRetry),
			Message: "The maximum number of concurrent diagnoses is in progress.",
			Fix:     controlplane.FixOf("diagnosis-busy")}
	}
	defer leave()
	bounded, cancel := context.WithTimeout(ctx, d.Timeout)
	defer cancel()
	seen, err := examine(bounded)
	if err != nil && ctx.Err() == nil && errors.Is(bounded.Err(), context.DeadlineExceeded) {
		return none, &controlplane.Error{Kind: controlplane.KindUnavailable,
			Code:    "diagnosis-timeout",
			Message: "The DNS queries for " + name + " timed out.",
			Fix:     controlplane.FixOf("diagnosis-timeout")}
	}
	return seen, err
}
