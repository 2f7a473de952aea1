package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// calls returns the calls of an item. Both installations have the same calls, in the same order.
func (s *scaled) calls(item string) ([]scaleCall, error) {
	switch item {
	case "big":
		return s.requests(s.big)
	case "small":
		return s.requests(s.small)
	}
	return s.sweeps(), nil
}

// requests returns the requests of one organization: each list with its filters, orders, and pages,
// single objects, and the dashboard's pages that count.
func (s *scaled) requests(t tenantOf) ([]scaleCall, error) {
	var out []scaleCall
	get := func(name, path string) {
		out = append(out, scaleCall{name, func(context.Context) error {
			_, err := s.get(t, path)
			return err
		}})
	}
	n := t.First + t.Domains/2
	soon := url.QueryEscape(time.Now().AddDate(0, 0, 7).Format(time.RFC3339))
	for _, c := range []struct{ name, path string }{
		{"domains", "/api/domains?"},
		{"domains by expiry", "/api/domains?sort=expires_at"},
		{"domains with a rare status", "/api/domains?status=error"},
		{"domains with a usual status", "/api/domains?status=active"},
		{"domains with a rare status by expiry", "/api/domains?status=error&sort=expires_at"},
		{"domains with a rare label", "/api/domains?label=team%3Drare"},
		{"domains with a usual label", "/api/domains?label=env%3Dproduction"},
		{"domains with an absent label", "/api/domains?label=team%3Dnone"},
		{"domains that expire soon", "/api/domains?expires_before=" + soon},
		{"domains with a part of a name, one hit", fmt.Sprintf("/api/domains?q=n%d-", n)},
		{"domains with a part of a name, no hit", "/api/domains?q=absent"},
		{"domains with two characters of a name", "/api/domains?q=zq"},
		{"domains with a Unicode part of a name", "/api/domains?q=" + url.QueryEscape("日本")},
		{"jobs", "/api/jobs?"},
		{"failed jobs", "/api/jobs?status=failed"},
		{"running jobs", "/api/jobs?status=running"},
		{"jobs of a rare type", "/api/jobs?type=revocation"},
		{"jobs of a usual type", "/api/jobs?type=renewal"},
		{"certificates", "/api/certificates?"},
		{"audit log", "/api/audit-logs?"},
		{"audit log of a rare action", "/api/audit-logs?action=domain.updated"},
		{"audit log of an absent action", "/api/audit-logs?action=domain.deleted"},
		{"audit log of an absent actor", "/api/audit-logs?actor=usr_00000000000000000000000001"},
		{"deliveries", "/api/webhooks/" + t.Webhook + "/deliveries?"},
		{"failed deliveries", "/api/webhooks/" + t.Webhook + "/deliveries?status=failed"},
		{"pending deliveries", "/api/webhooks/" + t.Webhook + "/deliveries?status=pending"},
	} {
		get(c.name, c.path+"&limit=50")
		last, err := s.nearLast(t, c.path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		if last != "" {
			get(c.name+laterPage, last)
		}
	}
	id := fmt.Sprintf("dom_%026d", n)
	for _, c := range []struct{ name, path string }{
		{"a domain", "/api/domains/" + id},
		{"a domain's timeline", "/api/domains/" + id + "/timeline"},
		{"a domain's certificates", "/api/domains/" + id + "/certificates"},
		{"a domain's jobs", "/api/jobs?domain=" + id},
		{"export of an absent action", "/api/audit-logs/export?action=domain.deleted"},
		{"organization", "/api/organization"}, {"usage", "/api/organization/usage"},
		{"page of domains", "/domains"},
		{"page of domains that need attention", "/domains?status=attention"},
		{"page of domains with a usual label", "/domains?label=env%3Dproduction"},
		{"page of domains with a part of a name", "/domains?q=example"},
		{"page of jobs", "/jobs"}, {"page of expiry", "/expiry"},
		{"page of the audit log", "/settings/audit"},
	} {
		get(c.name, c.path)
	}
	return out, nil
}

// laterPage ends the name of a call that reads a later page of a list.
const laterPage = ", a later page"

// laterPages is how many pages precede a later page, or as many as there are.
const laterPages = 20

// nearLast returns the path of a later page of a list, or "" if the first page is the last one.
func (s *scaled) nearLast(t tenantOf, path string) (string, error) {
	later := ""
	for cursor, n := "", 0; n < laterPages; n++ {
		at := path + "&limit=50"
		if cursor != "" {
			at += "&cursor=" + url.QueryEscape(cursor)
			later = at
		}
		body, err := s.get(t, at)
		if err != nil {
			return "", err
		}
		var page struct {
			Next *string `json:"next_cursor"`
		}
		if err := json.Unmarshal(body, &page); err != nil || page.Next == nil {
			return later, err
		}
		cursor = *page.Next
	}
	return later, nil
}

// get sends a GET request and returns the body.
func (s *scaled) get(t tenantOf, path string) ([]byte, error) {
	return s.call(t, http.MethodGet, path, nil)
}

// call sends a request with the organization's token, or to the dashboard with its session, and
// returns the body. Other statuses than 2xx are errors.
func (s *scaled) call(t tenantOf, method, path string, in io.Reader) ([]byte, error) {
	r, err := http.NewRequestWithContext(s.b.ctx, method, s.dev.Env()["DCVAAS_ENDPOINT"]+path, in)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(path, "/api/") {
		r.Header.Set("Authorization", "Bearer "+t.Token)
		r.Header.Set("Content-Type", "application/json")
	} else {
		r.AddCookie(&http.Cookie{Name: controlplane.SessionCookie(false), Value: t.Cookie})
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: %s: %.200s", method, path, resp.Status, body)
	}
	return body, err
}

// sweeps returns what the workers and the operator's monitoring do all the time, with nothing due.
func (s *scaled) sweeps() []scaleCall {
	l, store := s.operator.lifecycle, s.operator.store
	var lanes []postgres.Lane
	for _, q := range []controlplane.Queue{controlplane.QueueCritical, controlplane.QueueDefault,
		controlplane.QueueBulk} {
		lanes = append(lanes, postgres.Lane{Queue: q, Room: 100})
	}
	counted := func(name string, f func(context.Context) (int, error)) scaleCall {
		return scaleCall{name, func(ctx context.Context) error {
			n, err := f(ctx)
			if err == nil && n != 0 {
				err = fmt.Errorf("%d were due, want none", n)
			}
			return err
		}}
	}
	return []scaleCall{
		counted("sweep", l.Sweep), counted("daily scan", l.DailyScan), {"tidy", l.Tidy},
		counted("counts of organizations", l.Recount),
		counted("renewal information", l.CheckRenewals), counted("warnings", l.Warn),
		counted("orders set aside", l.CollectOrders), counted("retention of the log", l.Retain),
		counted("deleted organizations", l.RemoveDeleted),
		counted("ended DNS records", l.RemoveRecords),
		counted("lost jobs", func(ctx context.Context) (int, error) {
			return store.RequeueLost(ctx, time.Now(), 100)
		}),
		{"metrics: queue", func(ctx context.Context) error {
			_, err := store.QueueDepth(ctx, time.Now())
			return err
		}},
		{"metrics: open orders", func(ctx context.Context) error {
			_, err := store.OpenOrders(ctx, time.Now())
			return err
		}},
		{"metrics: certificates that expire", func(ctx context.Context) error {
			_, err := store.CountExpiring(ctx)
			return err
		}},
		{"metrics: domains not served", func(ctx context.Context) error {
			_, err := store.CountUnserved(ctx)
			return err
		}},
		counted("dispatch", func(ctx context.Context) (int, error) {
			return store.DispatchDue(ctx, time.Now(), lanes, func([]controlplane.Job) error {
				return nil
			})
		}),
	}
}
