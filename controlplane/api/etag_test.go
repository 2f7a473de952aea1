package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

func TestEntityTags(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		header string
		star   bool
		tags   []string
	}{
		{"", false, nil},
		{"*", true, nil},
		{" * ", true, nil},
		{`"1"`, false, []string{`"1"`}},
		{`"1", W/"2" ,"a,b"`, false, []string{`"1"`, `W/"2"`, `"a,b"`}},
		{`"1" "2"`, false, []string{`"1"`}},
		{`1`, false, nil},
		{`"1`, false, nil},
		{`"1",,"2"`, false, []string{`"1"`, `"2"`}},
	} {
		star, tags := entityTags(c.header)
		if star != c.star || !slices.Equal(tags, c.tags) {
			t.Errorf("entityTags(%q) = %v, %q, want %v, %q", c.header, star, tags, c.star, c.tags)
		}
	}
}

func TestPreconditions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.newDomain(w.org, "etag.example.com")
	path := "/api/domains/" + d.ID
	tag := w.do("GET", path, nil).is(200).header.Get("ETag")

	for _, header304 := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
		a := w.do("GET", path, nil, header("If-None-Match", header304)).is(304)
		if a.header.Get("ETag") != tag || a.body != "" {
			t.Errorf("304 with ETag %q and body %q", a.header.Get("ETag"), a.body)
		}
	}
	w.do("GET", path, nil, header("If-None-Match", `"99"`)).is(200)
	w.do("GET", path, nil,
		func(r *http.Request) { r.Header["If-None-Match"] = []string{`"99"`, tag} }).is(304)

	patch := map[string]any{"auto_renew": false}
	for _, stale := range []string{`"99"`, "W/" + tag, strings.Trim(tag, `"`), `"99", "98"`, `""`} {
		w.do("PATCH", path, patch, header("If-Match", stale)).problem(412, "precondition-failed")
		w.do("DELETE", path, nil, header("If-Match", stale)).problem(412, "precondition-failed")
		w.do("DELETE", "/api/domains/none.example.com", nil, header("If-Match", stale)).problem(404,
			"not-found")
	}
	second := w.do("PATCH", path, patch, header("If-Match", tag)).is(200).header.Get("ETag")
	w.do("PATCH", path, patch, header("If-Match", tag)).problem(412, "precondition-failed")
	third := w.do("PATCH", path, map[string]any{"auto_renew": true},
		header("If-Match", tag+", "+second)).is(200).header.Get("ETag")
	if third == second {
		t.Error("the ETag stayed")
	}
	w.do("PATCH", path, patch, header("If-Match", "*")).is(200)
	w.do("DELETE", path, nil, header("If-Match", third)).problem(412, "precondition-failed")
	w.do("DELETE", path, nil, header("If-Match", "*")).is(204)
}

func TestWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.newDomain(w.org, "wait.example.com")
	job := w.jobOf(w.org, d.ID)
	tag := w.do("GET", "/api/domains/"+d.ID, nil).is(200).header.Get("ETag")
	jobTag := w.do("GET", "/api/jobs/"+job.ID, nil).is(200).header.Get("ETag")

	t.Run("nothing moves", func(t *testing.T) {
		began := time.Now()
		w.do("GET", "/api/domains/"+d.ID+"?wait=1s", nil).is(200)
		w.do("GET", "/api/jobs/"+job.ID+"?wait=1s", nil, header("If-None-Match", jobTag)).is(304)
		if took := time.Since(began); took < 2*time.Second {
			t.Errorf("answered after %v", took)
		}
	})
	t.Run("it differs already", func(t *testing.T) {
		began := time.Now()
		w.do("GET", "/api/domains/"+d.ID+"?wait=20s", nil, header("If-None-Match", `"99"`)).is(200)
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("answered after %v", took)
		}
	})
	for what, move := range map[string]struct{ path, tag, sql string }{
		"domain": {"/api/domains/" + d.ID, "",
			`UPDATE domains SET status = 'issuing', version = version + 1`},
		"domain by name": {"/api/domains/WAIT.example.com", "",
			`UPDATE domains SET status = 'issuing', version = version + 1`},
		"domain from what is known": {"/api/domains/" + d.ID, tag,
			`UPDATE domains SET status = 'active', version = version + 1`},
		"job": {"/api/jobs/" + job.ID, "",
			`UPDATE jobs SET status = 'running', updated_at = clock_timestamp()`},
	} {
		t.Run(what, func(t *testing.T) {
			options := []option{}
			if move.tag != "" {
				options = append(options,
					header("If-None-Match", w.do("GET", move.path, nil).header.Get("ETag")))
			}
			began := time.Now()
			answered, ended := make(chan struct{}), make(chan struct{})
			go func() { // more than once: the first may come before the call does
				defer close(ended)
				for {
					select {
					case <-answered:
						return
					case <-time.After(300 * time.Millisecond):
						w.exec(move.sql)
					}
				}
			}()
			w.do("GET", move.path+"?wait=20s", nil, options...).is(200)
			close(answered)
			<-ended
			if took := time.Since(began); took < 250*time.Millisecond || took > 15*time.Second {
				t.Errorf("answered after %v", took)
			}
			w.exec(`UPDATE jobs SET status = 'queued', updated_at = clock_timestamp()`)
		})
	}
	t.Run("a finished job", func(t *testing.T) {
		w.exec(`UPDATE jobs SET status = 'succeeded', updated_at = clock_timestamp()`)
		began := time.Now()
		over := w.do("GET", "/api/jobs/"+job.ID+"?wait=20s", nil).is(200)
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("answered after %v", took)
		}
		w.do("GET", "/api/jobs/"+job.ID+"?wait=1s", nil,
			header("If-None-Match", over.header.Get("ETag"))).is(304)
	})
	t.Run("deleted", func(t *testing.T) {
		gone := w.newDomain(w.org, "gone.example.com")
		go func() {
			time.Sleep(300 * time.Millisecond)
			_ = w.service.DeleteDomain(context.Background(), controlplane.System("test"), w.org,
				gone.ID, 0)
		}()
		w.do("GET", "/api/domains/gone.example.com?wait=20s", nil).problem(404, "not-found")
	})
	t.Run("the client goes", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, "GET", w.server.URL+"/api/domains/"+d.ID+
			"?wait=20s", nil)
		if err != nil {
			t.Fatal(err)
		}
		as(w.token)(r)
		if resp, err := http.DefaultTransport.RoundTrip(r); err == nil {
			_ = resp.Body.Close()
			t.Error("it was answered")
		}
		for deadline := time.Now().Add(15 * time.Second); !strings.Contains(w.log.String(),
			`"status":499`); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the server still waits after the client disconnected")
			}
		}
	})
	t.Run("the server stops", func(t *testing.T) {
		began := time.Now()
		go func() {
			time.Sleep(300 * time.Millisecond)
			w.api.SetStopping()
			w.api.SetStopping()
		}()
		w.do("GET", "/api/domains/"+d.ID+"?wait=20s", nil).is(200)
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("answered after %v", took)
		}
		w.do("GET", "/readyz", nil, anonymous).is(503)
	})
}

// The server's deadlines do not shorten a wait, and apply again to the connection's next request.
func TestWaitOutlivesTheServersDeadlines(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.newDomain(w.org, "slow.example.com")
	strict := httptest.NewUnstartedServer(w.api)
	strict.Config.ReadTimeout, strict.Config.WriteTimeout = 2*time.Second, 2*time.Second
	strict.Start()
	t.Cleanup(strict.Close)
	w.server = strict
	began := time.Now()
	w.do("GET", "/api/domains/"+d.ID+"?wait=4s", nil).is(200)
	if took := time.Since(began); took < 4*time.Second {
		t.Errorf("answered after %v", took)
	}
	w.do("GET", "/api/domains/"+d.ID, nil).is(200)
}
