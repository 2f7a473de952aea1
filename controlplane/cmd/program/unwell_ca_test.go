package program

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// TestConnectionCutBeforeTheFirstOrder closes the connection of requests before the first order of
// a new account: for the directory, nonces, and the account. The first CA still issues.
func TestConnectionCutBeforeTheFirstOrder(t *testing.T) {
	t.Parallel()
	for _, asked := range []request{forDirectory, forNonce, forAccount} {
		for _, late := range []bool{false, true} {
			t.Run(string(asked)+", late: "+strconv.FormatBool(late), func(t *testing.T) {
				t.Parallel()
				u := newUnruly()
				times := 1
				if asked == forDirectory {
					// the doctor sends the first request, to learn the CA's name for CAA checks
					times = 2
				}
				u.on("", asked, cut(times, late))
				s := startUnruly(t, u, false)
				d := s.waitActive(s.add("cold.example.com").Id)
				s.wantIssuer(d, "primary")
				if n := s.Primary.OrderRequests(); n != 1 {
					t.Errorf("newOrder requests = %d, want 1", n)
				}
				if n := u.requests("", asked); n < times+1 || n > 2*(times+1) {
					t.Errorf("requests for %s = %d, want %d to %d", asked, n, times+1, 2*(times+1))
				}
			})
		}
	}
}

// TestUnavailableCAWithBackup tests a CA that becomes unavailable in the middle of an order. The
// backup issues, after a few requests to the first CA.
func TestUnavailableCAWithBackup(t *testing.T) {
	t.Parallel()
	u := newUnruly()
	s := startUnruly(t, u, false)
	for i, c := range []struct {
		what  string
		asked request
		fault fault
		most  int
	}{
		{"503 for newOrder", forNewOrder, page(always, 503), 4},
		{"502 for the challenge", forChallenge, page(always, 502), 4},
		{"finalize without a response", forFinalize, cut(always, false), 4},
		{"all nonces rejected", forNewOrder, reject(always, 400, badNonce), 10},
		{"newOrder without a response", forNewOrder, cut(always, true), 2},
	} {
		// in sequence, because the breaker counts consecutive failures
		t.Run(c.what, func(t *testing.T) {
			s := s.in(t)
			s.wantIssuer(s.waitActive(s.add(fmt.Sprintf("well%d.example.com", i)).Id), "primary")
			name := fmt.Sprintf("away%d.example.com", i)
			u.on(name, c.asked, c.fault)
			s.wantIssuer(s.waitActive(s.add(name).Id), "backup")
			if n := u.requests(name, c.asked); n > c.most {
				t.Errorf("requests for %s = %d, want at most %d", c.asked, n, c.most)
			}
			if n := s.Backup.OrdersFor(name); n != 1 {
				t.Errorf("orders at the backup CA = %d, want 1", n)
			}
		})
	}
}

// TestUnavailableCAAlone tests the only CA being unavailable: the job waits, and its order is
// placed when the CA is back.
func TestUnavailableCAAlone(t *testing.T) {
	t.Parallel()
	u := newUnruly()
	s := startUnruly(t, u, true)
	const name = "away.example.com"
	u.on(name, forNewOrder, page(always, 503))
	d := s.add(name)
	s.wantWait(d.Id, outcome{waits: "ca-unreachable"})
	u.on(name, forNewOrder, nil)
	s.waitActive(d.Id)
	if job := s.latestJob(d.Id, "start_issuance"); job.Attempts != 0 {
		t.Errorf("job = %s, want no failures", toJSON(job))
	}
}

// TestRateLimitedCA tests a CA that rejects an order for an hour. It gets no other request before
// then, even if a user requests issuance. If there is a backup, the backup issues.
func TestRateLimitedCA(t *testing.T) {
	t.Parallel()
	for form, after := range map[string]func() string{
		"seconds": func() string { return "3600" },
		"date":    func() string { return time.Now().Add(time.Hour).UTC().Format(http.TimeFormat) },
	} {
		for _, alone := range []bool{true, false} {
			t.Run(form+", alone: "+strconv.FormatBool(alone), func(t *testing.T) {
				t.Parallel()
				u := newUnruly()
				s := startUnruly(t, u, alone)
				const name = "limited.example.com"
				u.on(name, forNewOrder, reject(always, 429, rateLimited, "Retry-After", after()))
				d := s.add(name)
				if !alone {
					s.wantIssuer(s.waitActive(d.Id), "backup")
				} else {
					job := s.wantWait(d.Id, outcome{waits: "ca-quota", wait: time.Hour})
					if _, err := s.api.IssueDomain(t.Context(), d.Id); err != nil {
						t.Fatal(err)
					}
					s.eventually("the job to wait again", func() error {
						again, err := s.api.Job(t.Context(), job.Id)
						if err != nil || again.Status != client.JobStatusQueued ||
							!again.RunAt.After(time.Now().Add(time.Minute)) ||
							again.UpdatedAt.Equal(job.UpdatedAt) {
							return errNotYet
						}
						return nil
					})
				}
				s.wantProblem(d.Id, rateLimited)
				if n := u.requests(name, forNewOrder); n != 1 {
					t.Errorf("newOrder requests = %d, want 1", n)
				}
			})
		}
	}
}

// TestRateLimitedByAKnownLimit tests a CA that rejects an order over a limit that is also counted
// here. No order for that registered domain is sent before the time that the CA has stated,
// although by our count the limit has room.
func TestRateLimitedByAKnownLimit(t *testing.T) {
	t.Parallel()
	u := newUnruly()
	s := startStack(t, DevConfig{EmbeddedRedis: true,
		WrapCA: func(ca string) func(http.Handler) http.Handler {
			if ca == "primary" {
				return u.wrap
			}
			return nil
		},
		Configure: func(c *Config) {
			var cas []map[string]any
			if err := json.Unmarshal([]byte(c.ACME.CAs), &cas); err != nil {
				t.Fatal(err)
			}
			cas[0]["limits"] = map[string]string{"per_registered_domain": "50/7d"}
			c.ACME.CAs = toJSON(cas[:1])
		}})
	const name, sibling = "a.limited.example.com", "b.limited.example.com"
	limit := problemOf("rateLimited",
		`too many certificates (50) already issued for 'example.com' in the last 168h0m0s`)
	u.on(name, forNewOrder, reject(always, 429, limit, "Retry-After", "1800"))
	first := s.add(name)
	s.wantWait(first.Id, outcome{waits: "ca-quota", wait: 30 * time.Minute})
	second := s.add(sibling)
	// The next share after that is hours later: the job asks again after an hour.
	s.wantWait(second.Id, outcome{waits: "ca-quota", wait: time.Hour})
	for asked, want := range map[string]int{name: 1, sibling: 0} {
		if n := u.requests(asked, forNewOrder); n != want {
			t.Errorf("newOrder requests for %s = %d, want %d", asked, n, want)
		}
	}
}

// TestRateLimitedForAMoment tests that a job waits for a limit that ends soon, even with a backup.
func TestRateLimitedForAMoment(t *testing.T) {
	t.Parallel()
	for form, after := range map[string]func() string{
		"seconds": func() string { return "6" },
		"date": func() string {
			return time.Now().Add(7 * time.Second).UTC().Format(
				http.TimeFormat)
		},
	} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			u := newUnruly()
			s := startUnruly(t, u, false)
			const name = "moment.example.com"
			asked := make(chan time.Time, 10)
			u.on(name, forNewOrder, func(n int, w http.ResponseWriter, r *http.Request,
				next http.Handler) {
				asked <- time.Now()
				reject(1, 429, rateLimited, "Retry-After", after())(n, w, r, next)
			})
			d := s.waitActive(s.add(name).Id)
			cert, err := s.api.Certificate(t.Context(), d.CertificateId.MustGet())
			if err != nil || cert.Ca != "primary" {
				t.Errorf("Certificate() = %s, %v, want one from the primary CA", toJSON(cert), err)
			}
			first, second := <-asked, <-asked
			if len(asked) != 0 || second.Sub(first) < 5900*time.Millisecond {
				t.Errorf("newOrder requests = %d, the second after %s, want 2, the second after 6s",
					2+len(asked), second.Sub(first))
			}
			if n := s.Backup.OrderRequests(); n != 0 {
				t.Errorf("newOrder requests at the backup CA = %d, want 0", n)
			}
		})
	}
}

// TestRateLimitThatEndsAnOrder tests a rate limit that invalidates an order. The order fails, and
// the next one waits.
func TestRateLimitThatEndsAnOrder(t *testing.T) {
	t.Parallel()
	u := newUnruly()
	s := startUnruly(t, u, true)
	const name = "ended.example.com"
	invalid := rewrite(func(order map[string]any, _ http.Header) {
		order["status"], order["error"] = "invalid", map[string]any{"type": acmeErrors +
			"rateLimited", "detail": "too late"}
	})
	u.on(name, forFinalize, invalid)
	u.on(name, forOrder, invalid)
	d := s.add(name)
	s.wantWait(d.Id, outcome{waits: "ca-quota", wait: time.Minute})
	if n := query[int](s,
		`SELECT count(*) FROM acme_orders WHERE domain_id = $1 AND step <> 'failed'`,
		d.Id); n != 0 {
		t.Errorf("open orders = %d, want 0", n)
	}
	if n := len(s.timeline(d.Id, controlplane.ActionOrderFailed)); n != 1 {
		t.Errorf("failed orders in the timeline = %d, want 1", n)
	}
}

// TestOrderStuckInProcessing tests an order that the CA keeps processing. The job waits, and then
// the order resumes.
func TestOrderStuckInProcessing(t *testing.T) {
	t.Parallel()
	u := newUnruly()
	s := startUnruly(t, u, false)
	const name = "stuck.example.com"
	u.on(name, forFinalize, rewrite(processing))
	u.on(name, forOrder, rewrite(processing))
	d := s.add(name)
	s.wantWait(d.Id, outcome{waits: "ca-slow", wait: time.Minute})
	if step := s.orderStep(d.Id); step != controlplane.StepFinalized {
		t.Errorf("step of the order = %s, want %s", step, controlplane.StepFinalized)
	}
	u.on(name, forOrder, nil)
	if _, err := s.api.IssueDomain(t.Context(), d.Id); err != nil {
		t.Fatal(err)
	}
	s.wantIssuer(s.waitActive(d.Id), "primary")
	s.wantOrders(u, d, misbehavior{asked: map[request]int{forNewOrder: 1, forChallenge: 1,
		forFinalize: 1}})
}

// TestAlreadyReplaced tests a CA that rejects an order because the certificate was already
// replaced. The next order is placed without replaces.
func TestAlreadyReplaced(t *testing.T) {
	t.Parallel()
	u := newUnruly()
	s := startUnruly(t, u, false)
	const name = "replaced.example.com"
	d := s.waitActive(s.add(name).Id)
	u.on(name, forNewOrder, only(func(s signed) bool { return s.Replaces != "" },
		reject(always, 409, problemOf("alreadyReplaced", "has been replaced"))))
	if _, err := s.api.RenewDomain(t.Context(), d.Id); err != nil {
		t.Fatal(err)
	}
	s.waitDomain(d.Id,
		"renewed", func(now *client.Domain) bool {
			return toJSON(now.CertificateId) != toJSON(
				d.CertificateId)
		})
	s.wantOrders(u, d, misbehavior{orders: 2,
		asked: map[request]int{forNewOrder: 3, forFinalize: 2}})
	old, err := s.api.Certificate(t.Context(), d.CertificateId.MustGet())
	if err != nil || old.ReplacedBy.IsNull() {
		t.Errorf("Certificate() of the old certificate = %s, %v, want replaced_by set", toJSON(old),
			err)
	}
	if renewed := s.timeline(d.Id, controlplane.ActionRenewed); len(renewed) != 1 ||
		renewed[0]["ca"] != "primary" {
		t.Errorf("renewals in the timeline = %s, want one from the primary CA", toJSON(renewed))
	}
	if n := s.Backup.OrderRequests(); n != 0 {
		t.Errorf("newOrder requests at the backup CA = %d, want 0", n)
	}
}
