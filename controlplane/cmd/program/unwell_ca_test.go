package program

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// A connection that is cut in what belongs to no order, with the first order of a new account:
// it is the first CA that issues.
func TestConnectionCutBeforeTheFirstOrder(t *testing.T) {
	t.Parallel()
	for _, asked := range []request{forDirectory, forNonce, forAccount} {
		for _, late := range []bool{false, true} {
			t.Run(string(asked)+", in the middle: "+strconv.FormatBool(late), func(t *testing.T) {
				t.Parallel()
				u := newUnruly()
				times := 1
				if asked == forDirectory {
					times = 2 // the doctor, which looks for the CA's name in CAA records, is the first to ask
				}
				u.on("", asked, cut(times, late))
				s := startUnruly(t, u, false)
				d := s.waitActive(s.add("cold.example.com").Id)
				s.wantIssuer(d, "primary")
				if n := s.Primary.OrderRequests(); n != 1 {
					t.Errorf("the CA was asked for %d orders", n)
				}
				if n := u.requests("", asked); n < times+1 || n > 2*(times+1) {
					t.Errorf("the CA was asked %d times for %s", n, asked)
				}
			})
		}
	}
}

// A CA that stays away in the middle of an order: the other one issues, and the first was asked
// a few times and no more.
func TestCAThatStaysAwayBesideAnother(t *testing.T) {
	t.Parallel()
	u := newUnruly()
	s := startUnruly(t, u, false)
	for i, c := range []struct {
		what  string
		asked request
		fault fault
		most  int
	}{
		{"503 for the order", forNewOrder, page(always, 503), 4},
		{"502 for the challenge", forChallenge, page(always, 502), 4},
		{"finalizing is cut off", forFinalize, cut(always, false), 4},
		{"every nonce is refused", forNewOrder, refuse(always, 400, badNonce), 10},
		{"an order without an answer", forNewOrder, cut(always, true), 2},
	} {
		t.Run(c.what, func(t *testing.T) { // one after the other: the breaker counts those in a row
			s := s.in(t)
			s.wantIssuer(s.waitActive(s.add(fmt.Sprintf("well%d.example.com", i)).Id), "primary")
			name := fmt.Sprintf("away%d.example.com", i)
			u.on(name, c.asked, c.fault)
			s.wantIssuer(s.waitActive(s.add(name).Id), "backup")
			if n := u.requests(name, c.asked); n > c.most {
				t.Errorf("the CA was asked %d times for %s, more than %d", n, c.asked, c.most)
			}
			if n := s.Backup.OrdersFor(name); n != 1 {
				t.Errorf("the other CA made %d orders", n)
			}
		})
	}
}

// A CA that stays away, and that is the only one: four attempts, and a failure that says so.
func TestCAThatStaysAwayAlone(t *testing.T) {
	t.Parallel()
	u := newUnruly()
	s := startUnruly(t, u, true)
	const name = "away.example.com"
	u.on(name, forNewOrder, page(always, 503))
	s.wantFailure(s.add(name).Id, "ca-unreachable", misbehaviour{details: "primary cannot be reached"})
	if n := u.requests(name, forNewOrder); n > 4*4 {
		t.Errorf("the CA was asked %d times", n)
	}
}

// A CA that has a limit, and says for how long: it is not asked before, whoever asks. Where
// there is another CA, that one issues.
func TestRateLimitedCA(t *testing.T) {
	t.Parallel()
	for form, after := range map[string]string{"seconds": "3600", "date": time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)} {
		for _, alone := range []bool{true, false} {
			t.Run(form+", alone: "+strconv.FormatBool(alone), func(t *testing.T) {
				t.Parallel()
				u := newUnruly()
				s := startUnruly(t, u, alone)
				const name = "limited.example.com"
				u.on(name, forNewOrder, refuse(always, 429, rateLimited, "Retry-After", after))
				d := s.add(name)
				if !alone {
					s.wantIssuer(s.waitActive(d.Id), "backup")
				} else {
					job := s.wantWait(d.Id, ending{waits: "ca-quota", wait: time.Hour})
					if _, err := s.api.IssueDomain(t.Context(), d.Id); err != nil {
						t.Fatal(err)
					}
					s.eventually("the job to wait again", func() error {
						again, err := s.api.Job(t.Context(), job.Id)
						if err != nil || again.Status != client.JobStatusQueued || !again.RunAt.After(time.Now().Add(time.Minute)) || again.UpdatedAt.Equal(job.UpdatedAt) {
							return errNotYet
						}
						return nil
					})
				}
				s.wantProblem(d.Id, rateLimited)
				if n := u.requests(name, forNewOrder); n != 1 {
					t.Errorf("the CA was asked for %d orders", n)
				}
			})
		}
	}
}

// A limit that is over soon is waited for, though there is another CA.
func TestRateLimitedForAMoment(t *testing.T) {
	t.Parallel()
	for form, after := range map[string]func() string{
		"seconds": func() string { return "6" },
		"date":    func() string { return time.Now().Add(7 * time.Second).UTC().Format(http.TimeFormat) },
	} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			u := newUnruly()
			s := startUnruly(t, u, false)
			const name = "moment.example.com"
			asked := make(chan time.Time, 10)
			u.on(name, forNewOrder, func(n int, w http.ResponseWriter, r *http.Request, next http.Handler) {
				asked <- time.Now()
				refuse(1, 429, rateLimited, "Retry-After", after())(n, w, r, next)
			})
			d := s.waitActive(s.add(name).Id)
			cert, err := s.api.Certificate(t.Context(), d.CertificateId.MustGet())
			if err != nil || cert.Ca != "primary" {
				t.Errorf("%s, %v", toJSON(cert), err)
			}
			first, second := <-asked, <-asked
			if len(asked) != 0 || second.Sub(first) < 5900*time.Millisecond {
				t.Errorf("the CA was asked %d times, the second time after %s", 2+len(asked), second.Sub(first))
			}
			if n := s.Backup.OrderRequests(); n != 0 {
				t.Errorf("the other CA was asked for %d orders", n)
			}
		})
	}
}

// A limit that ends an order: the order is given up, and the next one waits.
func TestRateLimitThatEndsAnOrder(t *testing.T) {
	t.Parallel()
	u := newUnruly()
	s := startUnruly(t, u, true)
	const name = "ended.example.com"
	invalid := rewrite(func(order map[string]any, _ http.Header) {
		order["status"], order["error"] = "invalid", map[string]any{"type": acmeErrors + "rateLimited", "detail": "too late"}
	})
	u.on(name, forFinalize, invalid)
	u.on(name, forOrder, invalid)
	d := s.add(name)
	s.wantWait(d.Id, ending{waits: "ca-rate-limited", wait: 30 * time.Second})
	if n := query[int](s, `SELECT count(*) FROM acme_orders WHERE domain_id = $1 AND step <> 'failed'`, d.Id); n != 0 {
		t.Errorf("%d orders are open", n)
	}
	if n := len(s.timeline(d.Id, controlplane.ActionOrderFailed)); n != 1 {
		t.Errorf("the timeline tells of %d orders that failed", n)
	}
}

// An order that the CA does not come to an end with is waited for, and goes on where it was.
func TestOrderStuckInProcessing(t *testing.T) {
	t.Parallel()
	u := newUnruly()
	s := startUnruly(t, u, false)
	const name = "stuck.example.com"
	u.on(name, forFinalize, rewrite(processing))
	u.on(name, forOrder, rewrite(processing))
	d := s.add(name)
	s.wantWait(d.Id, ending{waits: "ca-slow", wait: 10 * time.Minute})
	if step := s.orderStep(d.Id); step != controlplane.StepFinalized {
		t.Errorf("the order is at step %s", step)
	}
	u.on(name, forOrder, nil)
	if _, err := s.api.IssueDomain(t.Context(), d.Id); err != nil {
		t.Fatal(err)
	}
	s.wantIssuer(s.waitActive(d.Id), "primary")
	s.wantOrders(u, name, misbehaviour{asked: map[request]int{forNewOrder: 1, forChallenge: 1, forFinalize: 1}})
}

// A CA that thinks that the certificate has its successor already is asked for one that
// replaces nothing.
func TestAlreadyReplaced(t *testing.T) {
	t.Parallel()
	u := newUnruly()
	s := startUnruly(t, u, false)
	const name = "replaced.example.com"
	d := s.waitActive(s.add(name).Id)
	u.on(name, forNewOrder, only(func(said signed) bool { return said.Replaces != "" }, refuse(always, 409, problemOf("alreadyReplaced", "has been replaced"))))
	if _, err := s.api.RenewDomain(t.Context(), d.Id); err != nil {
		t.Fatal(err)
	}
	s.waitDomain(d.Id, "renewed", func(now *client.Domain) bool { return toJSON(now.CertificateId) != toJSON(d.CertificateId) })
	s.wantOrders(u, name, misbehaviour{orders: 2, asked: map[request]int{forNewOrder: 3, forFinalize: 2}})
	old, err := s.api.Certificate(t.Context(), d.CertificateId.MustGet())
	if err != nil || old.ReplacedBy.IsNull() {
		t.Errorf("the old certificate is %s, %v", toJSON(old), err)
	}
	if renewed := s.timeline(d.Id, controlplane.ActionRenewed); len(renewed) != 1 || renewed[0]["ca"] != "primary" {
		t.Errorf("the timeline says %s", toJSON(renewed))
	}
	if n := s.Backup.OrderRequests(); n != 0 {
		t.Errorf("the other CA was asked for %d orders", n)
	}
}
