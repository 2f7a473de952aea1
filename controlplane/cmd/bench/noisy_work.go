package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// work adds, issues, renews, and deletes domains with the most expensive keys, repeatedly
// redelivers all events to five webhooks that never respond, and runs diagnoses and exports.
func (n *noise) work() error {
	ended := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-ended:
		}
	}))
	n.after = append(n.after, func() { close(ended); silent.Close() })
	hooks := make([]struct{ ID string }, controlplane.TierFree.Webhooks())
	for i := range hooks {
		if err := n.mustCall(http.MethodPost,
			"/api/webhooks", map[string]any{"url": fmt.Sprintf("%s/%d", silent.URL, i)},
			&hooks[i]); err != nil {
			return err
		}
	}
	names := make([]string, 3) // the free plan's limit
	for i := range names {
		names[i] = fmt.Sprintf("n%d-%d.example.org", n.number, i)
		var record controlplane.Record
		if err := n.mustCall(http.MethodGet, "/api/delegation?name="+url.QueryEscape(names[i]), nil,
			&record); err != nil {
			return err
		}
		if err := n.o.dev.Playground.Set(record.Name, record.Type, []string{record.Target},
			60); err != nil {
			return err
		}
	}
	for i, name := range names {
		n.repeat(1, func(int) int { return n.domainLoop(name, i == 0) })
	}
	n.repeat(1, func(i int) int {
		return n.call(http.MethodPatch, "/api/domains/"+names[0],
			map[string]any{"labels": map[string]any{"n": fmt.Sprint(i)}}, nil)
	})
	since := time.Now().Add(-time.Hour)
	n.repeat(1, func(i int) int {
		return n.call(http.MethodPost, "/api/webhooks/"+hooks[i%len(hooks)].ID+
			"/redeliver", map[string]any{"since": since, "all": true}, nil)
	})
	n.repeat(6, func(int) int {
		return n.call(http.MethodGet, "/api/domains/"+names[1]+
			"/diagnosis", nil, nil)
	})
	n.repeat(3, func(int) int { return n.call(http.MethodGet, "/api/audit-logs/export", nil, nil) })
	n.sleep(noiseReady)
	return nil
}

// domainLoop adds a domain and waits for its certificate. Then it deletes or renews the domain. It
// returns the status of the last call.
func (n *noise) domainLoop(name string, renews bool) int {
	var d addedDomain
	status := n.call(http.MethodPost, "/api/domains", map[string]any{"name": name,
		"key_type": "rsa4096"}, &d)
	if status != http.StatusCreated && status != http.StatusConflict {
		return status
	}
	for n.ctx.Err() == nil && status != http.StatusTooManyRequests &&
		d.Status != string(controlplane.DomainActive) {
		status = n.call(http.MethodGet, "/api/domains/"+name+"?wait=10s", nil, &d)
		n.sleep(10 * noisePause)
	}
	if renews {
		for n.ctx.Err() == nil {
			n.call(http.MethodPost, "/api/domains/"+name+"/renew", nil, nil)
			n.sleep(time.Second)
		}
	}
	return n.call(http.MethodDelete, "/api/domains/"+name, nil, nil)
}
