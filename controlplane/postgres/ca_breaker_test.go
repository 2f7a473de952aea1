package postgres_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// The reports of all workers are combined by CA. A worker's report replaces its previous one, and
// counts only for a while.
func TestCAOutages(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx := t.Context()
	report := func(worker string, after time.Duration, open ...controlplane.CABreaker) {
		t.Helper()
		d.must(d.ReportBreakers(ctx, worker, open, start.Add(after)))
	}
	breaker := func(ca string, since, probe time.Duration, message string) controlplane.CABreaker {
		return controlplane.CABreaker{CA: ca, Since: start.Add(since), ProbeAt: start.Add(probe),
			Message: message}
	}
	want := func(after time.Duration, want ...controlplane.CAOutage) {
		t.Helper()
		got, err := d.replica().CAOutages(ctx, start.Add(after))
		if diff := cmp.Diff(want, got, cmp.Comparer(time.Time.Equal),
			cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("CAOutages after %s (-want +got): %v\n%s", after, err, diff)
		}
	}
	want(0)
	report("a", 0, breaker("one", 0, time.Minute, "503"), breaker("two", 0, time.Hour, "reset"))
	report("b", time.Second, breaker("one", -time.Minute, 2*time.Minute, "504"))
	two := controlplane.CAOutage{CABreaker: breaker("two", 0, time.Hour, "reset"), Workers: 1}
	want(time.Second, controlplane.CAOutage{
		CABreaker: breaker("one", -time.Minute, time.Minute, "504"), Workers: 2}, two)

	report("b", 2*time.Second) // all of its breakers are closed
	one := controlplane.CAOutage{CABreaker: breaker("one", 0, time.Minute, "503"), Workers: 1}
	want(2*time.Second, one, two)
	want(controlplane.BreakerReportFor-time.Second, one, two)
	want(controlplane.BreakerReportFor) // the worker was killed

	report("c", 2*time.Hour, breaker("two", time.Hour, 3*time.Hour, "503"))
	want(2*time.Hour, controlplane.CAOutage{
		CABreaker: breaker("two", time.Hour, 3*time.Hour, "503"), Workers: 1})
	if n := value[int](d, `SELECT count(*) FROM ca_breakers`); n != 1 {
		t.Errorf("stored reports = %d, want only the latest", n)
	}
}
