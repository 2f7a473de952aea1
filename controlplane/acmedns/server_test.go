package acmedns

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres/postgrestest"
)

var full = flag.Bool("acmedns.full", false,
	"10,000 updates at three name servers rather than 48 at two")

// After a 200, each name server answers with the value at once, and with the others of the account:
// three names and their wildcards need six.
func TestReadYourWrite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	accounts, updates := 8, 6
	if *full {
		accounts, updates = 50, controlplane.MaxACMEDNSValues
		w.startNameServer(w.Store)
	}
	var wg sync.WaitGroup
	for range accounts {
		wg.Go(func() {
			a := w.registerAt(w.base(), "")
			var want []string
			for n := range updates {
				v := value(fmt.Sprintf("value-%03d-", n))
				want = append(want, v)
				r := w.post(w.base()+"/update", a, update(a.Subdomain, v))
				if r.status != http.StatusOK {
					t.Errorf("update = %d %s, want 200", r.status, r.body)
				}
				for server := range w.names {
					if got := w.txt(server, a.Fulldomain); !slices.Equal(got, want) {
						t.Errorf("TXT at name server %d after the 200 = %q, want %q", server, got,
							want)
					}
				}
			}
		})
	}
	wg.Wait()
}

// /delete removes one value of the account with the checks of /update.
func TestDelete(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, other := w.registerAt(w.base(), ""), w.registerAt(w.base(), "")
	for _, one := range []account{a, other} {
		for _, v := range []string{value("a"), value("b")} {
			w.want("update", w.post(w.base()+"/update", one, update(one.Subdomain, v)), 200,
				`{"txt": "`+v+`"}`)
		}
	}
	w.want("delete at another subdomain", w.post("/delete", a, update(other.Subdomain,
		value("a"))), 401, `{"error": "forbidden"}`)
	w.want("delete of an invalid value", w.post("/delete", a, update(a.Subdomain, "short")), 400,
		`{"error": "bad_txt"}`)
	for range 2 { // a repeat succeeds
		w.want("delete", w.post("/delete", a, update(a.Subdomain, value("a"))), 200,
			`{"txt": "`+value("a")+`"}`)
	}
	for server := range w.names {
		w.eventually("the value is gone", func() bool {
			return slices.Equal(w.txt(server, a.Fulldomain), []string{value("b")})
		})
		if got := w.txt(server, other.Fulldomain); len(got) != 2 {
			t.Errorf("TXT of the other account = %q, want both values", got)
		}
	}
}

// While a name server does not serve the value, the response is 503, and the value stays stored. A
// repeated update succeeds when the name server is back.
func TestUpdateWithSilentNameServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(_ *Config, c *lifecycle.Config) { c.PublishWait = time.Second })
	a := w.registerAt(w.base(), "")
	undo := w.alsoAsk(silent(t))
	r := w.post(w.base()+"/update", a, update(a.Subdomain, validTXT))
	w.want("update with a silent name server", r, 503, `{"error": "name_server_unavailable"}`)
	if r.header.Get("Retry-After") == "" {
		t.Error("Retry-After = \"\", want a time")
	}
	for server := range w.names {
		w.eventually("the stored value is served", func() bool {
			return slices.Equal(w.txt(server, a.Fulldomain), []string{validTXT})
		})
	}
	undo()
	// Its time starts over, however slow this machine is.
	w.eventually("a repeated update succeeds", func() bool {
		return w.post(w.base()+"/update", a, update(a.Subdomain, validTXT)).status == 200
	})
}

// A registration needs a key, which works until it is deleted. Accounts do not need it any longer.
func TestRegistrationKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.registerAt(w.base(), "")
	mistyped := w.key[:len(w.key)-1] + "!"
	unknown := controlplane.NewRegistrationSecret()
	for _, path := range []string{Prefix, Prefix + "/" + mistyped, Prefix + "/" + unknown} {
		w.want("register below "+path, w.request(http.MethodPost, path+"/register", ""), 401,
			`{"error": "forbidden"}`)
	}
	for _, path := range []string{Prefix, Prefix + "/x", w.base() + "/x", w.base() + "/update/x",
		w.base()} {
		if r := w.request(http.MethodPost, path, ""); r.status != 404 {
			t.Errorf("POST %s = %d, want 404", path, r.status)
		}
	}
	stored, err := w.Store.ACMEDNSKey(t.Context(), w.org, w.keyID)
	if err != nil || stored.Registrations != 1 || stored.LastUsedAt == nil {
		t.Errorf("ACMEDNSKey = %+v, %v, want one registration", stored, err)
	}
	w.must(w.service.DeleteACMEDNSKey(t.Context(), operator, w.org, w.keyID))
	w.want("register with a deleted key", w.request(http.MethodPost, w.base()+"/register", ""),
		401, `{"error": "forbidden"}`)
	w.want("update after the key was deleted", w.post(w.base()+"/update", a,
		update(a.Subdomain, validTXT)), 200, `{"txt": "`+validTXT+`"}`)
	list, _, err := w.Store.ListACMEDNSAccounts(t.Context(), w.org, nil, 10)
	if err != nil || len(list) != 1 || list[0].KeyID != "" || list[0].CreatedBy != w.keyID {
		t.Errorf("ListACMEDNSAccounts = %+v, %v, want the account without its key", list, err)
	}
}

// Without DCVAAS_ACMEDNS_ORGANIZATION, acme-dns's own paths belong to the pages. With it, they are
// only for accounts of that organization, however an account was registered.
func TestRootPaths(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.organization()
	_, key := w.newKey(other)
	theirs := w.registerAt(Prefix+"/"+key, "")
	ours := w.registerAt("", "")
	w.want("update of another organization's account", w.post("/update", theirs,
		update(theirs.Subdomain, validTXT)), 401, `{"error": "forbidden"}`)
	w.want("update below the prefix", w.post(Prefix+"/update", theirs,
		update(theirs.Subdomain, validTXT)), 200, `{"txt": "`+validTXT+`"}`)
	w.want("update of an own account", w.post("/update", ours, update(ours.Subdomain, validTXT)),
		200, `{"txt": "`+validTXT+`"}`)
	if list, _, err := w.Store.ListACMEDNSAccounts(t.Context(), w.org, nil,
		10); err != nil || len(list) != 1 || list[0].Subdomain != ours.Subdomain {
		t.Errorf("ListACMEDNSAccounts = %+v, %v, want only the own one", list, err)
	}
	if r := w.request(http.MethodGet, "/", ""); r.status != http.StatusTeapot {
		t.Errorf("GET / = %d, want the pages", r.status)
	}
	w.Organization = ""
	for _, path := range []string{"/register", "/update", "/delete", "/health"} {
		if r := w.request(http.MethodPost, path, ""); r.status != http.StatusTeapot {
			t.Errorf("POST %s without an organization = %d, want the pages", path, r.status)
		}
	}
}

// No account can publish at the target of another organization: neither with its subdomain nor
// after its own organization is deleted.
func TestTenantsAreIsolated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.organization()
	_, key := w.newKey(other)
	ours, theirs := w.registerAt(w.base(), ""), w.registerAt(Prefix+"/"+key, "")
	for _, base := range []string{Prefix, w.base(), Prefix + "/" + key} {
		w.want("update at the other's subdomain", w.post(base+"/update", theirs,
			update(ours.Subdomain, validTXT)), 401, `{"error": "forbidden"}`)
		w.want("update with the other's password", w.post(base+"/update",
			account{Username: ours.Username, Password: theirs.Password},
			update(ours.Subdomain, validTXT)), 401, `{"error": "forbidden"}`)
	}
	w.want("update", w.post(Prefix+"/update", theirs, update(theirs.Subdomain, validTXT)), 200,
		`{"txt": "`+validTXT+`"}`)
	for server := range w.names {
		if got := w.txt(server, ours.Fulldomain); len(got) != 0 {
			t.Errorf("TXT of the untouched account = %q, want none", got)
		}
	}
	w.must(w.service.DeleteOrganization(t.Context(), operator, other, "Example"))
	w.want("update after the organization's deletion", w.post(Prefix+"/update", theirs,
		update(theirs.Subdomain, value("b"))), 401, `{"error": "forbidden"}`)
	w.want("register after the organization's deletion", w.request(http.MethodPost,
		Prefix+"/"+key+"/register", ""), 401, `{"error": "forbidden"}`)
	for server := range w.names {
		w.eventually("the target is gone", func() bool {
			return slices.Equal(w.txt(server, theirs.Fulldomain), []string{"NXDOMAIN"})
		})
	}
}

// A rotated password replaces the previous one, and a deleted account can't be used, and its target
// does not exist.
func TestRotationAndDeletion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.registerAt(w.base(), "")
	list, _, err := w.Store.ListACMEDNSAccounts(t.Context(), w.org, nil, 10)
	if err != nil || len(list) != 1 {
		t.Fatalf("ListACMEDNSAccounts = %v, %v, want one", list, err)
	}
	old := a
	_, a.Password, err = w.service.RotateACMEDNSPassword(t.Context(), operator, nil, w.org,
		list[0].ID)
	w.must(err)
	w.want("update with the old password", w.post(Prefix+"/update", old,
		update(a.Subdomain, validTXT)), 401, `{"error": "forbidden"}`)
	w.want("update with the new password", w.post(Prefix+"/update", a,
		update(a.Subdomain, validTXT)), 200, `{"txt": "`+validTXT+`"}`)
	w.must(w.service.DeleteACMEDNSAccount(t.Context(), operator, w.org, list[0].ID))
	w.want("update of a deleted account", w.post(Prefix+"/update", a,
		update(a.Subdomain, validTXT)), 401, `{"error": "forbidden"}`)
	for server := range w.names {
		w.eventually("the target is gone", func() bool {
			return slices.Equal(w.txt(server, a.Fulldomain), []string{"NXDOMAIN"})
		})
	}
}

// Updates add no entries to the audit log, and neither the log nor the database contains a secret.
func TestSecretsAndAudit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.registerAt(w.base(), "")
	entries := func() int {
		w.t.Helper()
		log, _, err := w.Store.ListLog(t.Context(), w.org, postgres.LogFilter{Limit: 100})
		w.must(err)
		return len(log)
	}
	before := entries()
	for _, v := range []string{value("a"), value("b"), value("a")} {
		w.want("update", w.post(w.base()+"/update", a, update(a.Subdomain, v)), 200,
			`{"txt": "`+v+`"}`)
	}
	w.post(w.base()+"/update", account{Username: a.Username, Password: strings.Repeat("p", 40)},
		update(a.Subdomain, validTXT))
	w.request(http.MethodPost, w.base()+"/nothing", "")
	if after := entries(); after != before {
		t.Errorf("audit entries after updates = %d, want %d", after, before)
	}
	list, _, err := w.Store.ListACMEDNSAccounts(t.Context(), w.org, nil, 10)
	if err != nil || list[0].Updates != 3 || list[0].LastUsedAt == nil {
		t.Errorf("account = %+v, %v, want 3 updates", list[0], err)
	}
	rows := fmt.Sprint(postgrestest.RowsOf(t, w.dsn, w.org))
	if !strings.Contains(rows, a.Username) {
		t.Errorf("rows = %s, want them with the account", rows)
	}
	for where, text := range map[string]string{"log": w.log.String(), "database": rows} {
		if text == "" {
			t.Errorf("the %s is empty", where)
		}
		for what, secret := range map[string]string{"password": a.Password, "key": w.key,
			"wrong password": strings.Repeat("p", 40)} {
			if strings.Contains(text, secret) {
				t.Errorf("the %s contains the %s", where, what)
			}
		}
	}
}

// limited returns a world whose requests are counted in Redis, with limits that do not recover.
func limited(t *testing.T, change func(*controlplane.Limits)) *world {
	t.Helper()
	r, err := devstack.StartRedis(t.Context(), devstack.RedisConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Stop(context.WithoutCancel(t.Context())) })
	limits, stands := controlplane.DefaultLimits(), time.Now()
	change(&limits)
	limiter, err := edge.NewLimiter(edge.LimiterConfig{RedisURL: r.URL(), Key: []byte("key"),
		Limits: limits, Timeout: 10 * time.Second, Now: func() time.Time { return stands }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(limiter.Close)
	return newWorld(t, func(c *Config, _ *lifecycle.Config) { c.Limiter = limiter })
}

func calls(p *controlplane.Policy, n int) {
	p.RateLimit = controlplane.RateLimit{Calls: n, Window: 24 * time.Hour}
}

// Registrations are limited for a key and for a client network.
func TestRegistrationsAreLimited(t *testing.T) {
	t.Parallel()
	w := limited(t, func(l *controlplane.Limits) {
		calls(&l.KeyRegistrations, 2)
		calls(&l.NetworkRegistrations, 3)
	})
	_, second := w.newKey(w.org)
	for _, c := range []struct {
		key, from string
		status    int
	}{
		{w.key, "192.0.2.1", 201}, {w.key, "192.0.2.1", 201}, {w.key, "192.0.2.1", 429},
		{w.key, "192.0.2.2", 429}, {second, "192.0.2.1", 201}, {second, "192.0.2.1", 429},
		{second, "192.0.2.2", 429}, // the request before was counted for the key
	} {
		r := w.request(http.MethodPost, Prefix+"/"+c.key+"/register", "", "X-Forwarded-For", c.from)
		if r.status != c.status {
			t.Errorf("register from %s = %d %s, want %d", c.from, r.status, r.body, c.status)
		}
		if c.status == 429 && (r.body != `{"error": "rate_limited"}` ||
			r.header.Get("Retry-After") == "") {
			t.Errorf("429 = %s, %q, want rate_limited with Retry-After", r.body,
				r.header.Get("Retry-After"))
		}
	}
}

// Failed authentications of a client network are limited, and do not block an account that was used
// before.
func TestFailuresAreLimited(t *testing.T) {
	t.Parallel()
	w := limited(t, func(l *controlplane.Limits) { calls(&l.Failures, 5) })
	a := w.registerAt(w.base(), "")
	w.want("update", w.post(Prefix+"/update", a, update(a.Subdomain, validTXT)), 200,
		`{"txt": "`+validTXT+`"}`)
	wrong := account{Username: a.Username, Password: strings.Repeat("x", 40)}
	statuses := []int{}
	for range 6 {
		statuses = append(statuses, w.post(Prefix+"/update", wrong,
			update(a.Subdomain, validTXT)).status)
	}
	if statuses[0] != 401 || statuses[5] != 429 {
		t.Errorf("statuses of wrong passwords = %v, want 401 and, after 5 at most, 429", statuses)
	}
	w.want("update of the known account", w.post(Prefix+"/update", a, update(a.Subdomain,
		validTXT)), 200, `{"txt": "`+validTXT+`"}`)
}

// The plan limits the number of accounts and keys.
func TestPlanLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	free, err := w.service.CreateOrganization(t.Context(), operator,
		lifecycle.NewOrganization{Name: "Free", Tier: controlplane.TierFree})
	w.must(err)
	_, key := w.newKey(free.ID)
	var wg sync.WaitGroup
	statuses := make(chan int, 40)
	for range cap(statuses) {
		wg.Go(func() {
			statuses <- w.request(http.MethodPost, Prefix+"/"+key+"/register", "").status
		})
	}
	wg.Wait()
	close(statuses)
	count := map[int]int{}
	for s := range statuses {
		count[s]++
	}
	if want := controlplane.TierFree.ACMEDNSAccounts(); count[201] != want ||
		count[403] != cap(statuses)-want {
		t.Errorf("statuses of registrations = %v, want %d of 201 and %d of 403", count, want,
			cap(statuses)-want)
	}
	w.want("register over the limit", w.request(http.MethodPost, Prefix+"/"+key+"/register", ""),
		403, `{"error": "plan_limit"}`)
	for range controlplane.TierFree.ACMEDNSKeys() - 1 {
		w.newKey(free.ID)
	}
	if _, _, err := w.service.CreateACMEDNSKey(t.Context(), operator, nil, free.ID,
		"more", ""); !controlplane.HasCode(err, "plan-limit") {
		t.Errorf("CreateACMEDNSKey over the limit = %v, want plan-limit", err)
	}
}
