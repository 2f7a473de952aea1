package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// wrongInputs has requests with n faults each, by kind of fault.
var wrongInputs = []struct {
	what, method, path string
	total              int // errors_total; 0: n; -1: none, since all is malformed
	build              func(n int) (query, body string)
}{
	{"unknown fields", "POST", "/api/domains", 0, func(n int) (string, string) {
		return "", `{"name":"example.com",` + list(n, `"f%06d":1`) + `}`
	}},
	{"unknown fields of objects in a list", "POST", "/api/domains/bulk", 0,
		func(n int) (string, string) {
			return "", `{"domains":[` + list(n/200, `{"name":"a%06d.example.com",`+
				list(200, `"f%06d":1`)+`}`) + `]}`
		}},
	{"items of the wrong type", "POST", "/api/tokens", 1, func(n int) (string, string) {
		return "", `{"name":"x","scopes":[` + list(n, `%06d`) + `]}`
	}},
	{"unknown words", "POST", "/api/tokens", 1, func(n int) (string, string) {
		return "", `{"name":"x","scopes":[` + list(n, `"s%06d"`) + `]}`
	}},
	{"domains of a token", "POST", "/api/tokens", 1, func(n int) (string, string) {
		return "", `{"name":"x","scopes":["domains:read"],"domain_ids":[` + list(n, `"d%06d"`) +
			`]}`
	}},
	{"events of a webhook", "POST", "/api/webhooks", 1, func(n int) (string, string) {
		return "", `{"url":"https://example.com/","events":[` + list(n, `"e%06d"`) + `]}`
	}},
	{"labels", "POST", "/api/domains", 1, func(n int) (string, string) {
		return "", `{"name":"example.com","labels":{` + list(n, `"k%06d":1`) + `}}`
	}},
	{"domains at once", "POST", "/api/domains/bulk", 1, func(n int) (string, string) {
		return "", `{"domains":[` + list(n, `{"x%06d":1}`) + `]}`
	}},
	{"an object in place of a text", "POST", "/api/domains", 1, func(n int) (string, string) {
		return "", `{"name":{` + list(n, `"f%06d":1`) + `}}`
	}},
	{"rows of CSV", "POST", "/api/domains/bulk", 1, func(n int) (string, string) {
		return "", "name\n" + strings.ReplaceAll(list(n, `a%06d`), ",", "\n")
	}},
	{"columns of CSV", "POST", "/api/domains/bulk", -1, func(n int) (string, string) {
		return "", list(n, `c%06d`) + "\nx"
	}},
	{"fields of a row of CSV", "POST", "/api/domains/bulk", 1, func(n int) (string, string) {
		return "", "name,ca\na.example.com," + list(n, "k%06d") + strings.Repeat("\nx", 500)
	}},
	{"malformed rows of CSV", "POST", "/api/domains/bulk", 1, func(n int) (string, string) {
		return "", "name\n" + strings.ReplaceAll(list(n, `"a%06d`), ",", "\n")
	}},
	{"an open quotation mark in CSV", "POST", "/api/domains/bulk", 1, func(n int) (string, string) {
		return "", "name\n\"" + strings.ReplaceAll(list(n, `a%06d`), ",", "\n")
	}},
	{"unknown parameters", "GET", "/livez", 0, func(n int) (string, string) {
		return strings.ReplaceAll(list(n, `p%06d`), ",", "&"), ""
	}},
}

// list returns the numbers up to n in a format, or the format itself if it has no verb, separated
// by commas. All have the same length.
func list(n int, format string) string {
	all := make([]string, n)
	for i := range all {
		all[i] = strings.Replace(format, "%06d", fmt.Sprintf("%06d", 100_000+i), 1)
	}
	return strings.Join(all, ",")
}

// The cost of an invalid request is proportional to its size, and its response is small. The same
// number of bytes is checked as 64 requests with 1,000 faults and as one with 64,000, so that no
// figure depends on the machine.
func TestCostOfWrongInput(t *testing.T) { // not parallel: it measures the process
	t.Setenv("GODEBUG", "urlmaxqueryparams=0")
	const small, times = 1000, 64
	w := newWorld(t)
	for _, c := range wrongInputs {
		t.Run(c.what, func(t *testing.T) {
			op := w.operation(c.method, c.path)
			run := func(n, times int) (cost, *controlplane.Error) {
				query, body := c.build(n)
				var problem *controlplane.Error
				best := cost{}
				for range 5 {
					used := measure(func() {
						for range times {
							problem = op.refuses(t, t.Context(), query, body)
						}
					})
					best = best.min(used)
				}
				return best, problem
			}
			little, problem := run(small, times)
			much, last := run(small*times, 1)
			for _, p := range []struct {
				e *controlplane.Error
				n int
			}{{problem, small}, {last, small * times}} {
				total := c.total
				switch total {
				case 0:
					total = p.n
				case -1:
					total = 0
				}
				if got := max(p.e.FieldsTotal, len(p.e.Fields)); got != total {
					t.Errorf("%d faults: errors_total = %d, want %d", p.n, got, total)
				}
				if got, want := len(p.e.Fields), min(total, maxErrors); got != want {
					t.Errorf("%d faults: %d errors, want %d", p.n, got, want)
				}
				if a := w.problemOf(p.e); len(a.body) >= 64<<10 {
					t.Errorf("%d faults: the answer has %d bytes, want fewer than %d", p.n,
						len(a.body), 64<<10)
				}
			}
			t.Logf("allocated %d and %d bytes in %d and %d objects, CPU %v and %v", little.bytes,
				much.bytes, little.objects, much.objects, little.cpu, much.cpu)
			if much.bytes > 2*little.bytes || much.objects > 2*little.objects {
				t.Errorf("64,000 faults at once allocate %d bytes in %d objects; want at most twice the %d bytes in %d objects of 64 times 1,000",
					much.bytes, much.objects, little.bytes, little.objects)
			}
			// A cost that grows with the square would be 64 times as high. A few times can be the
			// caches of the processor, which other processes use, too.
			if much.cpu > 8*little.cpu {
				t.Errorf("64,000 faults at once take %v of CPU; want at most 8 times the %v of 64 times 1,000", much.cpu, little.cpu)
			}
		})
	}
}

// operation returns the operation of a path without parameters.
func (w *world) operation(method, path string) *operation {
	w.t.Helper()
	for _, op := range w.api.operations {
		if op.method == method && op.path == path {
			return op
		}
	}
	w.t.Fatalf("no operation %s %s", method, path)
	return nil
}

// refuses returns the error of a check, without the rest of the server.
func (op *operation) refuses(
	t testing.TB, ctx context.Context, query, body string,
) *controlplane.Error {
	t.Helper()
	r := httptest.NewRequestWithContext(context.WithValue(ctx, callKey{}, &call{op: op}), op.method,
		op.path, strings.NewReader(body))
	r.URL.RawQuery = query
	r.Header.Set("Content-Type", mediaJSON)
	if op.csv && !strings.HasPrefix(body, "{") {
		r.Header.Set("Content-Type", mediaCSV)
	}
	err := op.check(httptest.NewRecorder(), r)
	problem, ok := errors.AsType[*controlplane.Error](err)
	if !ok {
		t.Fatalf("check = %v, want the error about its fields", err)
	}
	return problem
}

// cost is the resource usage of a piece of work.
type cost struct {
	bytes, objects uint64
	cpu            time.Duration
}

// min returns the smaller of each figure, because other work in the process only adds to it.
func (c cost) min(other cost) cost {
	if c == (cost{}) {
		return other
	}
	return cost{min(c.bytes, other.bytes), min(c.objects, other.objects), min(c.cpu, other.cpu)}
}

func measure(work func()) cost {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := cpuTime()
	work()
	used := cpuTime() - began
	runtime.ReadMemStats(&after)
	return cost{after.TotalAlloc - before.TotalAlloc, after.Mallocs - before.Mallocs, used}
}

// cpuTime returns the CPU time of the process, which does not depend on other load of the machine.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// A check stops when its client disconnects. The bodies are the most expensive ones.
func TestCheckStopsWithItsCaller(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range wrongInputs {
		if c.method != http.MethodPost || strings.Contains(c.what, "CSV") {
			continue
		}
		t.Run(c.what, func(t *testing.T) {
			op := w.operation(c.method, c.path)
			_, body := c.build(64_000)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			value, err := decode([]byte(body))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := op.checkValue(ctx, value); !errors.Is(err, context.Canceled) {
				t.Errorf("checkValue with a canceled context = %v, want context.Canceled", err)
			}
			r := httptest.NewRequestWithContext(context.WithValue(ctx, callKey{}, &call{op: op}),
				op.method, op.path, strings.NewReader(body))
			r.Header.Set("Content-Type", mediaJSON)
			if err := op.check(httptest.NewRecorder(), r); !errors.Is(err, context.Canceled) {
				t.Errorf("check with a canceled context = %v, want context.Canceled", err)
			}
		})
	}
}

// unread is a body that must not be read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

// No body is read before its caller is authenticated and counted.
func TestBodyIsReadAfterAdmission(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limited(t))
	free := w.newTier(controlplane.TierFree)
	send := func(token string, body io.Reader) int {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/api/domains", body)
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", mediaJSON)
		rec := httptest.NewRecorder()
		w.api.ServeHTTP(rec, r)
		return rec.Code
	}
	if got := send("nonsense", unread{t}); got != http.StatusUnauthorized {
		t.Errorf("a call with a wrong token = %d, want 401", got)
	}
	readOnly := w.newToken(w.org,
		lifecycle.NewToken{Scopes: []controlplane.Scope{controlplane.ScopeDomainsRead}})
	if got := send(readOnly, unread{t}); got != http.StatusForbidden {
		t.Errorf("a call without the scope = %d, want 403", got)
	}
	for range 2 * controlplane.TierFree.RateLimit().Calls {
		if send(free, strings.NewReader("{}")) == http.StatusTooManyRequests {
			break
		}
	}
	if got := send(free, unread{t}); got != http.StatusTooManyRequests {
		t.Errorf("a call beyond the limit = %d, want 429", got)
	}
}
