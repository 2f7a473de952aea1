package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	testToken        = "dcv_0123456789abcdefghijklmnopqrstuvwxyz"
	testOrganization = "org_1"
)

// serve starts an API with one handler and returns a client of it.
func serve(t *testing.T, o Options, h http.HandlerFunc) *Client {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(headerAPI, "1")
		w.Header().Set(headerOrganization, testOrganization)
		h(w, r)
	}))
	t.Cleanup(s.Close)
	o.Endpoint = s.URL
	if o.Token == "" {
		o.Token = testToken
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func problemJSON(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Request-Id", "req_header")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func domainJSON(w http.ResponseWriter, status string, etag string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("ETag", etag)
	_, _ = fmt.Fprintf(w,
		`{"id":"dom_1","name":"example.com","status":%q,"status_reason":"","delegation":{"name":"_acme-challenge.example.com","type":"CNAME","target":"x.acme.test"},
		"conditions":[],"wildcard":false,"key_type":"ec256","csr_pem":null,"profile":null,"preferred_chain":null,"ca":null,"auto_issue":true,"auto_renew":true,"labels":{},
		"certificate_id":null,"expires_at":null,"renew_at":null,"last_issued_at":null,"created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:05Z"}`, status)
}

func TestNew_rejects(t *testing.T) {
	for name, o := range map[string]Options{
		"no endpoint":  {Token: testToken},
		"no scheme":    {Endpoint: "dcvaas.example.com", Token: testToken},
		"plain http":   {Endpoint: "http://dcvaas.example.com", Token: testToken},
		"other scheme": {Endpoint: "ftp://dcvaas.example.com", Token: testToken},
		"credentials":  {Endpoint: "https://u:p@dcvaas.example.com", Token: testToken},
		"query":        {Endpoint: "https://dcvaas.example.com?x=1", Token: testToken},
		"no token":     {Endpoint: "https://dcvaas.example.com"},
		"broken token": {Endpoint: "https://dcvaas.example.com", Token: "dcv_a\ndcv_b"},
		"negative retries": {Endpoint: "https://dcvaas.example.com", Token: testToken,
			MaxRetries: -1},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(o)
			if err == nil {
				t.Fatalf("New(%+v) returns no error", o)
			}
			if strings.Contains(err.Error(), "dcv_") || strings.Contains(err.Error(), "u:p") {
				t.Errorf("New returns %q, want an error without secrets", err)
			}
		})
	}
}

func TestNew_accepts(t *testing.T) {
	for _, endpoint := range []string{"https://dcvaas.example.com",
		"https://dcvaas.example.com/base/", "http://127.0.0.1:8080", "http://localhost:8080",
		"http://[::1]:8080"} {
		if _, err := New(Options{Endpoint: endpoint, Token: " " + testToken + "\n"}); err != nil {
			t.Errorf("New with the endpoint %s = %v, want no error", endpoint, err)
		}
	}
}

func TestRequest(t *testing.T) {
	c := serve(t, Options{UserAgent: "test/1", Token: testToken + "\n"},
		func(w http.ResponseWriter, r *http.Request) {
			if got := r.Header.Get("Authorization"); got != "Bearer "+testToken {
				t.Errorf("Authorization = %q, want the token", got)
			}
			if got := r.Header.Get("User-Agent"); got != "test/1" {
				t.Errorf("User-Agent = %q, want test/1", got)
			}
			if r.URL.Path != "/api/domains/example.com" {
				t.Errorf("path = %q, want /api/domains/example.com", r.URL.Path)
			}
			domainJSON(w, "active", `"1"`)
		})
	d, err := c.Domain(t.Context(), "example.com")
	if err != nil || d.Id != "dom_1" || d.Status != DomainStatusActive {
		t.Fatalf("Domain(example.com) = %+v, %v, want the active domain dom_1", d, err)
	}
}

func TestDiagnosis(t *testing.T) {
	c := serve(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/api/domains/example.com/diagnosis" {
			t.Errorf("request = %s %s, want GET /api/domains/example.com/diagnosis", r.Method,
				r.URL.Path)
		}
		_, _ = io.WriteString(w,
			`{"delegation":{"code":"cname-missing","until":null},"caa":[{"ca":"first","allowed":true}],"dnssec":"bogus","causes":[{"code":"cname-missing"}],"warnings":[],"names":[{"name":"example.com","ready":false}]}`)
	})
	e, err := c.Diagnosis(t.Context(), "example.com")
	if err != nil || e.Delegation.Code != "cname-missing" || !e.Caa[0].Allowed ||
		e.Dnssec != DomainExaminationDnssecBogus || len(e.Causes) != 1 || e.Names[0].Ready {
		t.Errorf("Diagnosis(example.com) = %+v, %v, want one cause, an allowed CA, and bogus DNSSEC", e, err)
	}
}

func TestCertificatePKCS12(t *testing.T) {
	c := serve(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method != http.MethodPost || r.URL.Path != "/api/certificates/crt_1/pkcs12" ||
			string(body) != `{"password":"p"}` {
			t.Errorf("request = %s %s %s, want POST /api/certificates/crt_1/pkcs12 with the password", r.Method, r.URL.Path, body)
		}
		_, _ = w.Write([]byte{0x30, 0, 0xff})
	})
	file, err := c.CertificatePKCS12(t.Context(), "crt_1", "p")
	if err != nil || !bytes.Equal(file, []byte{0x30, 0, 0xff}) {
		t.Errorf("CertificatePKCS12(crt_1) = %x, %v, want 3000ff", file, err)
	}
}

func TestRevokeCertificate(t *testing.T) {
	c := serve(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method != http.MethodPost || r.URL.Path != "/api/certificates/crt_1/revoke" ||
			string(body) != `{"reason":"keyCompromise","replace":true}` {
			t.Errorf("request = %s %s %s, want POST /api/certificates/crt_1/revoke with reason and replace", r.Method, r.URL.Path, body)
		}
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w,
			`{"id":"job_1","type":"revocation","certificate_id":"crt_1","status":"queued"}`)
	})
	j, err := c.RevokeCertificate(t.Context(), "crt_1", RevocationReasonKeyCompromise, true)
	if err != nil || j.Type != JobTypeRevocation || j.CertificateId.MustGet() != "crt_1" {
		t.Errorf("RevokeCertificate(crt_1) = %+v, %v, want a revocation job of crt_1", j, err)
	}
}

func TestError(t *testing.T) {
	c := serve(t, Options{}, func(w http.ResponseWriter, _ *http.Request) {
		problemJSON(w, 422,
			`{"type":"/problems/invalid","title":"Invalid","status":422,"detail":"Two fields are wrong.","code":"invalid","request_id":"req_1","fix":"Fix them.",
			"existing_id":"dom_2","retry_at":"2026-01-02T03:04:05Z","errors":[{"pointer":"/name","code":"name-ip","detail":"It is an IP address."},{"pointer":"/labels/a","code":"x","detail":"y"}],"errors_total":7}`)
	})
	_, err := c.CreateDomain(t.Context(), DomainCreate{Name: "127.0.0.1"})
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("CreateDomain returns %v, want an *Error", err)
	}
	want := Error{Method: "POST", Path: "/api/domains", Status: 422, API: true,
		OrganizationID: testOrganization, Code: "invalid", Title: "Invalid", Detail: "Two fields are wrong.", Fix: "Fix them.",
		RequestID: "req_1", ExistingID: "dom_2",
		RetryAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Fields: []FieldError{{Pointer: "/name", Code: "name-ip", Detail: "It is an IP address."},
			{Pointer: "/labels/a", Code: "x", Detail: "y"}}, FieldsTotal: 7}
	if diff := cmp.Diff(want, *e); diff != "" {
		t.Errorf("CreateDomain returns an unexpected error (-want +got):\n%s", diff)
	}
	if got, want := err.Error(),
		"POST /api/domains: 422 invalid: Two fields are wrong. (request ID req_1)"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
}

func TestErrorKinds(t *testing.T) {
	for _, c := range []struct {
		status int
		code   string
		is     func(error) bool
	}{{404, "not-found", IsNotFound}, {409, "x", IsConflict}, {401, "x", IsUnauthorized},
		{403, "x", IsForbidden}} {
		err := error(&Error{API: true, OrganizationID: "org_1", Status: c.status, Code: c.code})
		if !c.is(fmt.Errorf("wrapped: %w", err)) ||
			c.is(&Error{API: true, OrganizationID: "org_1", Status: 400, Code: c.code}) ||
			c.is(errors.New("x")) || c.is(nil) {
			t.Errorf("the check for %d accepts other errors, or rejects its own", c.status)
		}
		if c.is(&Error{Status: c.status, Code: c.code}) ||
			c.is(&Error{API: true, OrganizationID: "org_1", Status: c.status}) {
			t.Errorf("the check for %d accepts a proxy's response", c.status)
		}
	}
	for _, e := range []Error{
		{API: true, OrganizationID: "org_1", Status: 404, Code: "no-such-path"},
		{API: true, Status: 404, Code: "not-found"}, // not authenticated
	} {
		if IsNotFound(&e) {
			t.Errorf("IsNotFound(%+v) = true, want false: it is not about an object", e)
		}
	}
}

// A response that does not come from the API becomes a helpful error without the body.
func TestForeignResponses(t *testing.T) {
	for name, c := range map[string]struct {
		h    http.HandlerFunc
		want string
	}{
		"a proxy's page": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.WriteHeader(502)
			_, _ = io.WriteString(w, "<html>secret</html>")
		}, "returned 502 Bad Gateway with text/html"},
		"JSON that is not a problem": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(404)
			_, _ = io.WriteString(w, `{"message":"secret"}`)
		}, "returned 404 Not Found"},
		"another service's JSON": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Server", "gateway/1")
			w.WriteHeader(404)
			_, _ = io.WriteString(w, `{"code":"not-found","message":"secret"}`)
		}, `returned 404 Not Found with application/json and the header Server: "gateway/1", without the header DCVaaS-API`},
		"a gateway's problem": {func(w http.ResponseWriter, _ *http.Request) {
			problemJSON(w, 404, `{"code":"not-found","detail":"secret"}`)
		}, "returned 404 Not Found with application/problem+json, without the header DCVaaS-API"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://elsewhere.example.com/login", http.StatusFound)
		}, "redirects to https://elsewhere.example.com/login"},
		"a page with 200": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "<html>secret</html>")
		}, "returned 200 OK with text/html"},
		"an empty success": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNoContent)
		}, "returned 204 No Content with no content type, without the header DCVaaS-API"},
	} {
		t.Run(name, func(t *testing.T) {
			client := serve(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Del(headerAPI)
				w.Header().Del(headerOrganization)
				c.h(w, r)
			})
			if err := client.DeleteDomain(t.Context(), "dom_1"); err == nil || IsNotFound(err) {
				t.Errorf("DeleteDomain returns %v, want an error other than IsNotFound", err)
			}
			_, err := client.Domain(t.Context(), "example.com")
			if err == nil || !strings.Contains(err.Error(), c.want) ||
				strings.Contains(err.Error(), "secret") {
				t.Errorf("Domain returns %v, want an error with %q and without the body", err,
					c.want)
			}
			if IsNotFound(err) {
				t.Errorf("IsNotFound(%v) = true, want false", err)
			}
		})
	}
}

// A response of the API that is malformed is an error without the body.
func TestMalformedResponses(t *testing.T) {
	for want, h := range map[string]http.HandlerFunc{
		"returned 422 Unprocessable Entity": func(w http.ResponseWriter, _ *http.Request) {
			problemJSON(w, 422, `{"secret`)
		},
		"malformed response": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "<html>secret</html>")
		},
	} {
		_, err := serve(t, Options{}, h).Domain(t.Context(), "example.com")
		if err == nil || !strings.Contains(err.Error(), want) ||
			strings.Contains(err.Error(), "secret") {
			t.Errorf("Domain returns %v, want an error with %q and without the body", err, want)
		}
	}
}

func TestRetries(t *testing.T) {
	type answer struct {
		status     int
		retryAfter string
	}
	get := func(c *Client) error {
		_, err := c.Domain(context.Background(),
			"example.com")
		return err
	}
	post := func(c *Client) error {
		_, err := c.CreateDomain(context.Background(), DomainCreate{Name: "example.com"})
		return err
	}
	patch := func(c *Client) error {
		_, err := c.UpdateDomain(context.Background(),
			"example.com", DomainUpdate{AutoRenew: new(false)})
		return err
	}
	remove := func(c *Client) error { return c.DeleteDomain(context.Background(), "example.com") }
	for name, c := range map[string]struct {
		call    func(*Client) error
		answers []answer // then 200
		retries int
		tries   int
		status  int // of the error; 0: none
	}{
		"get after 429 and two 503": {get, []answer{{429, "0"}, {503, "0"}, {503, "0"}}, 4, 4,
			0},
		"get until retries are used up": {get, []answer{{503, "0"}, {502, "0"}, {500, "0"}}, 2, 3,
			500},
		"429 is not counted": {get,
			[]answer{{429, "0"}, {429, "0"}, {429, "0"}, {503, "0"}}, 1, 5, 0},
		"429 with no retries": {get, []answer{{429, "0"}}, 0, 1, 429},
		"503 with no retries": {get, []answer{{503, "0"}}, 0, 1, 503},
		"delete after 503":    {remove, []answer{{503, "0"}}, 4, 2, 0},
		"post after 429":      {post, []answer{{429, "0"}}, 4, 2, 0},
		"429 for an hour":     {post, []answer{{429, "3600"}}, 4, 1, 429},
		"post after 503":      {post, []answer{{503, "0"}, {500, "0"}}, 4, 3, 0},
		"post while in progress": {post, []answer{{503, "0"}, {409, "0"}, {409, "0"}}, 1, 4,
			0},
		"post with a conflict":          {post, []answer{{409, ""}}, 4, 1, 409},
		"patch after 429":               {patch, []answer{{429, "0"}}, 4, 2, 0},
		"patch not after 500":           {patch, []answer{{500, "0"}}, 4, 1, 500},
		"client errors are not retried": {get, []answer{{404, ""}}, 4, 1, 404},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tries := 0
			var bodies, keys []string
			client := serve(t, Options{MaxRetries: c.retries},
				func(w http.ResponseWriter, r *http.Request) {
					b, _ := io.ReadAll(r.Body)
					bodies = append(bodies, string(b))
					keys = append(keys, r.Header.Get("Idempotency-Key"))
					tries++
					if tries <= len(c.answers) {
						a := c.answers[tries-1]
						if a.retryAfter != "" {
							w.Header().Set("Retry-After", a.retryAfter)
						}
						problemJSON(w, a.status,
							fmt.Sprintf(
								`{"type":"x","title":"x","status":%d,"code":"x","request_id":"r"}`,
								a.status))
						return
					}
					if r.Method == http.MethodDelete {
						w.WriteHeader(http.StatusNoContent)
						return
					}
					domainJSON(w, "active", `"1"`)
				})
			err := c.call(client)
			var e *Error
			if errors.As(err, &e); (err == nil) != (c.status == 0) ||
				(e != nil && e.Status != c.status) {
				t.Errorf("the call returns %v, want the status %d", err, c.status)
			}
			if tries != c.tries {
				t.Errorf("the call sends %d requests, want %d", tries, c.tries)
			}
			for _, b := range bodies {
				if b != bodies[0] {
					t.Errorf("a retry sends the body %q, want %q", b, bodies[0])
				}
			}
			for _, k := range keys {
				if k != keys[0] {
					t.Errorf("a retry sends the key %q, want %q", k, keys[0])
				}
			}
		})
	}
}

// Each POST has its own key. Other methods have none.
func TestIdempotencyKeys(t *testing.T) {
	var keys []string
	c := serve(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		keys = append(keys, r.Header.Get("Idempotency-Key"))
		domainJSON(w, "active", `"1"`)
	})
	for range 2 {
		if _, err := c.CreateDomain(t.Context(), DomainCreate{Name: "example.com"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Domain(t.Context(), "example.com"); err != nil {
		t.Fatal(err)
	}
	if len(keys[0]) < 20 || keys[0] == keys[1] || keys[2] != "" {
		t.Errorf("Idempotency-Key of POST, POST, GET = %q, want two different keys and none", keys)
	}
}

// Any call that never reached the server is safe to retry.
func TestRetries_refusedConnection(t *testing.T) {
	s := httptest.NewServer(nil)
	s.Close()
	var attempts atomic.Int32
	c, err := New(Options{Endpoint: s.URL, Token: testToken, MaxRetries: 1,
		Log: func(context.Context, string, map[string]any) { attempts.Add(1) }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.CreateDomain(t.Context(), DomainCreate{Name: "example.com"}); err == nil ||
		attempts.Load() != 2 {
		t.Errorf("CreateDomain makes %d attempts and returns %v, want 2 and an error",
			attempts.Load(), err)
	}
}

func TestRetries_stopWithContext(t *testing.T) {
	c := serve(t, Options{MaxRetries: 4}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := c.Domain(ctx, "example.com"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Domain returns %v, want the context's error", err)
	}
	if d := time.Since(start); d > 15*time.Second {
		t.Errorf("Domain returns after %v, want when the context is done", d)
	}
}

func TestBackoff(t *testing.T) {
	resp := &http.Response{Header: http.Header{"Retry-After": {"7"}}}
	for range 100 {
		if d := backoff(500*time.Millisecond, 10*time.Second, 0, resp); d < 7*time.Second ||
			d > 8*time.Second {
			t.Fatalf("backoff with a Retry-After of 7 s = %v, want 7 to 8 s", d)
		}
		if d := backoff(500*time.Millisecond, 10*time.Second, 40, nil); d < 5*time.Second ||
			d > 15*time.Second {
			t.Fatalf("backoff of attempt 40 = %v, want 5 to 15 s", d)
		}
	}
	resp.Header.Set("Retry-After", "86400")
	if d := backoff(500*time.Millisecond, 10*time.Second, 0, resp); d > maxRetryAfter+
		10*time.Second {
		t.Errorf("backoff with a Retry-After of a day = %v, want about %v", d, maxRetryAfter)
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	if d, ok := retryAfter(now.Add(9*time.Second).Format(http.TimeFormat), now); !ok ||
		d != 9*time.Second {
		t.Errorf("retryAfter of a date in 9 s = %v, %v", d, ok)
	}
	if _, ok := retryAfter("soon", now); ok {
		t.Error("retryAfter(soon) is valid, want invalid")
	}
}

func TestWaitDomain(t *testing.T) {
	var polls atomic.Int32
	c := serve(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		switch n := polls.Add(1); n {
		case 1:
			if r.URL.RawQuery != "" || r.Header.Get("If-None-Match") != "" {
				t.Errorf("the first request has the query %q, want none", r.URL.RawQuery)
			}
			domainJSON(w, "pending_cname", `"1"`)
		case 2:
			if r.URL.Query().Get("wait") != hold || r.Header.Get("If-None-Match") != `"1"` {
				t.Errorf("the second request has the query %q, want a wait and an If-None-Match",
					r.URL.RawQuery)
			}
			w.WriteHeader(http.StatusNotModified)
		case 3:
			domainJSON(w, "issuing", `"2"`)
		default:
			if got := r.Header.Get("If-None-Match"); got != `"2"` {
				t.Errorf(`If-None-Match = %s, want "2"`, got)
			}
			domainJSON(w, "active", `"3"`)
		}
	})
	var seen []DomainStatus
	d, err := c.WaitDomain(t.Context(), "dom_1", func(d *Domain) bool {
		seen = append(seen, d.Status)
		return d.Status == DomainStatusActive
	})
	if err != nil || d.Status != DomainStatusActive ||
		fmt.Sprint(seen) != "[pending_cname issuing active]" {
		t.Errorf("WaitDomain = %v, %v after the states %v, want active after three states", d, err,
			seen)
	}
}

// A held request ends immediately with the context. The error comes with the last known domain.
func TestWaitDomain_stopsWithContext(t *testing.T) {
	held := make(chan struct{})
	var once sync.Once
	c := serve(t, Options{MaxRetries: 4}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("wait") == "" {
			domainJSON(w, "pending_cname", `"1"`)
			return
		}
		once.Do(func() { close(held) })
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-held; cancel() }()
	start := time.Now()
	d, err := c.WaitDomain(ctx, "dom_1", func(*Domain) bool { return false })
	if !errors.Is(err, context.Canceled) || d == nil || d.Status != DomainStatusPendingCname ||
		time.Since(start) > 15*time.Second {
		t.Errorf("WaitDomain = %v, %v after %v, want the pending domain and the context's error at once", d, err, time.Since(start))
	}
}

// Neither the token nor a body is logged.
func TestLog_containsNoSecrets(t *testing.T) {
	var log bytes.Buffer
	c := serve(t, Options{MaxRetries: 1,
		Log: func(_ context.Context, msg string,
			fields map[string]any) {
			fmt.Fprintln(&log, msg, fields)
		}},
		func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Request-Id", "req_7")
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, `{"id":"tok_1","name":"x","token":"`+testToken+
				`","token_prefix":"dcv_012345","scopes":[],"domain_ids":[],"expires_at":null,"last_used_at":null,"created_at":"2026-01-02T03:04:05Z"}`)
		})
	tok, err := c.CreateToken(t.Context(),
		TokenCreate{Name: "in-the-body", Scopes: []Scope{ScopeDomainsRead}})
	if err != nil || tok.Token != testToken {
		t.Fatalf("CreateToken = %v, %v, want the token", tok, err)
	}
	if s := log.String(); !strings.Contains(s, "req_7") || strings.Contains(s, "dcv_") ||
		strings.Contains(s, "in-the-body") {
		t.Errorf("the log is %q, want the request ID and no secrets", s)
	}
}
