package acme_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/acme"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
)

// respond changes the responses of a path.
func (f *faulty) respond(path string, change func(n int, resp *httptest.ResponseRecorder)) {
	f.on(path, func(n int, w http.ResponseWriter, r *http.Request, next http.Handler) {
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		change(n, rec)
		maps.Copy(w.Header(), rec.Header())
		w.Header().Del("Content-Length")
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	})
}

// relative removes scheme and host from a URL.
func relative(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return s
	}
	return u.RequestURI()
}

// TestHarmlessDeviations has a CA that deviates from RFC 8555 in ways that do not matter.
func TestHarmlessDeviations(t *testing.T) {
	t.Parallel()
	relativeOrder := func(_ int, order map[string]any, header http.Header) {
		for _, field := range []string{"finalize", "certificate"} {
			if s, ok := order[field].(string); ok {
				order[field] = relative(s)
			}
		}
		for i, a := range order["authorizations"].([]any) {
			order["authorizations"].([]any)[i] = relative(a.(string))
		}
		if at := header.Get("Location"); at != "" {
			header.Set("Location", relative(at))
		}
	}
	code := func(status int) func(int, *httptest.ResponseRecorder) {
		return func(_ int, resp *httptest.ResponseRecorder) {
			if resp.Code/100 == 2 {
				resp.Code = status
			}
		}
	}
	empty := func(_ int, resp *httptest.ResponseRecorder) { resp.Body.Reset() }
	null := func(_ int, resp *httptest.ResponseRecorder) {
		resp.Body.Reset()
		resp.Body.WriteString("null")
	}
	typeless := func(_ int, resp *httptest.ResponseRecorder) {
		resp.Header().Set("Content-Type", "text/html")
	}
	for name, prepare := range map[string]func(f *faulty){
		"relative URLs": func(f *faulty) {
			f.rewrite(pathNewOrder, relativeOrder)
			f.rewrite(pathFinalize, relativeOrder)
		},
		"relative account URL": func(f *faulty) {
			f.respond(pathAccount, func(_ int, resp *httptest.ResponseRecorder) {
				resp.Header().Set("Location", relative(resp.Header().Get("Location")))
			})
		},
		"200 for a new order":     func(f *faulty) { f.respond(pathNewOrder, code(200)) },
		"200 for a new account":   func(f *faulty) { f.respond(pathAccount, code(200)) },
		"201 for finalize":        func(f *faulty) { f.respond(pathFinalize, code(201)) },
		"202 for a challenge":     func(f *faulty) { f.respond(pathChallenge, code(202)) },
		"200 for a nonce":         func(f *faulty) { f.respond(pathNonce, code(200)) },
		"empty account":           func(f *faulty) { f.respond(pathAccount, empty) },
		"empty new order":         func(f *faulty) { f.respond(pathNewOrder, empty) },
		"null as new order":       func(f *faulty) { f.respond(pathNewOrder, null) },
		"empty challenge":         func(f *faulty) { f.respond(pathChallenge, empty) },
		"empty finalize response": func(f *faulty) { f.respond(pathFinalize, empty) },
		"null for finalize":       func(f *faulty) { f.respond(pathFinalize, null) },
		"wrong content types": func(f *faulty) {
			for _, path := range []string{pathDirectory, pathAccount, pathNewOrder, pathAuthz,
				pathChallenge, pathFinalize, pathCert} {
				f.respond(path, typeless)
			}
		},
		"new order without identifiers": func(f *faulty) {
			f.rewrite(pathNewOrder, func(_ int, order map[string]any, _ http.Header) {
				delete(order, "identifiers")
			})
		},
		"new order that has expired": func(f *faulty) {
			f.rewrite(pathNewOrder, func(_ int, order map[string]any, _ http.Header) {
				order["expires"] = "2001-01-01T00:00:00Z"
			})
		},
		"duplicate authorizations": func(f *faulty) {
			f.rewrite(pathNewOrder, func(_ int, order map[string]any, _ http.Header) {
				list := order["authorizations"].([]any)
				order["authorizations"] = append(list, list...)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, f := newFaultyWorld(t, devstack.CAConfig{})
			prepare(f)
			e := w.engine(t, newVirtual().use)
			o := w.order(t, e, "harmless.example.com", "*.harmless.example.com")
			cert, err := e.Run(t.Context(), o, w.journal(o))
			if err != nil {
				t.Fatal(err)
			}
			w.verify(t, cert, o)
			if n := f.total(); n > 20+6*2 {
				t.Errorf("requests = %d, want at most 32", n)
			}
			if orders, csrs := w.ca.Orders(), f.requests(pathFinalize); orders != 1 || csrs > 1 {
				t.Errorf("orders at the CA = %d, CSRs sent = %d; want 1 each", orders, csrs)
			}
		})
	}
}

// TestProtocolViolations has a CA that violates RFC 8555 forever. That is the CA's fault: another
// one is used, and nobody else is blamed.
func TestProtocolViolations(t *testing.T) {
	t.Parallel()
	without := func(path, field string) func(f *faulty) {
		return func(f *faulty) {
			for _, path := range []string{path, pathOrder} {
				f.rewrite(path, func(_ int, object map[string]any, _ http.Header) {
					delete(object, field)
				})
			}
		}
	}
	insecure := func(path, field string) func(f *faulty) {
		return func(f *faulty) {
			for _, path := range []string{path, pathOrder} {
				f.rewrite(path, func(_ int, object map[string]any, _ http.Header) {
					if s, ok := object[field].(string); ok {
						object[field] = strings.Replace(s, "https:", "http:", 1)
					}
				})
			}
		}
	}
	drop := func(path, header string) func(f *faulty) {
		return func(f *faulty) {
			f.respond(path, func(_ int, resp *httptest.ResponseRecorder) {
				resp.Header().Del(header)
			})
		}
	}
	for name, prepare := range map[string]func(f *faulty){
		"no nonce":             drop(pathNonce, "Replay-Nonce"),
		"no account URL":       drop(pathAccount, "Location"),
		"no order URL":         drop(pathNewOrder, "Location"),
		"no finalize":          without(pathNewOrder, "finalize"),
		"no authorizations":    without(pathNewOrder, "authorizations"),
		"no status":            without(pathNewOrder, "status"),
		"insecure nonce":       insecure(pathDirectory, "newNonce"),
		"insecure new account": insecure(pathDirectory, "newAccount"),
		"insecure new order":   insecure(pathDirectory, "newOrder"),
		"insecure finalize":    insecure(pathNewOrder, "finalize"),
		"insecure order URL": func(f *faulty) {
			f.respond(pathNewOrder, func(_ int, resp *httptest.ResponseRecorder) {
				resp.Header().Set("Location",
					strings.Replace(resp.Header().Get("Location"), "https:", "http:", 1))
			})
		},
		"other names": func(f *faulty) {
			for _, path := range []string{pathNewOrder, pathOrder} {
				f.rewrite(path, func(_ int, order map[string]any, _ http.Header) {
					order["identifiers"] = []any{map[string]any{"type": "dns",
						"value": "other.example.com"}}
				})
			}
		},
		"many authorizations": func(f *faulty) {
			for _, path := range []string{pathNewOrder, pathOrder} {
				f.rewrite(path, func(_ int, order map[string]any, _ http.Header) {
					first := order["authorizations"].([]any)[0].(string)
					order["authorizations"] = []any{first, first + "1", first + "2", first + "3"}
				})
			}
		},
		"challenge without token": func(f *faulty) {
			f.rewrite(pathAuthz, func(_ int, authz map[string]any, _ http.Header) {
				for _, c := range authz["challenges"].([]any) {
					delete(c.(map[string]any), "token")
				}
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, f := newFaultyWorld(t, devstack.CAConfig{})
			prepare(f)
			e := w.engine(t, newVirtual().use)
			o := w.order(t, e, "broken.example.com")
			_, err := w.runOnce(t, e, f, o, w.journal(o))
			if e := wantError(t, err, acme.Unreachable, "ca-protocol"); e.Over {
				t.Error("Over = true, want false")
			}
			if n := w.ca.Orders(); n > 1 {
				t.Errorf("orders at the CA = %d, want at most 1", n)
			}
		})
	}
}

// TestNoNonceOnce has a CA that sends no nonce once. The run goes on.
func TestNoNonceOnce(t *testing.T) {
	t.Parallel()
	w, f := newFaultyWorld(t, devstack.CAConfig{})
	f.respond(pathNonce, func(n int, resp *httptest.ResponseRecorder) {
		if n == 1 {
			resp.Header().Del("Replay-Nonce")
		}
	})
	w.issue(t, w.engine(t, newVirtual().use), "nonce.example.com")
}

// TestInvalidOnce has a replica of the CA report an order as invalid once.
func TestInvalidOnce(t *testing.T) {
	t.Parallel()
	w, f := newFaultyWorld(t, devstack.CAConfig{})
	f.rewrite(pathFinalize, processing(""))
	f.rewrite(pathOrder, func(n int, order map[string]any, _ http.Header) {
		if n == 1 {
			order["status"] = "invalid"
		}
	})
	w.issue(t, w.engine(t, newVirtual().use), "once.example.com")
	if n := w.ca.Orders(); n != 1 {
		t.Errorf("orders at the CA = %d, want 1", n)
	}
}

// TestCollect looks at an order that was set aside after its CSR was sent.
func TestCollect(t *testing.T) {
	t.Parallel()
	w, f := newFaultyWorld(t, devstack.CAConfig{})
	c := newVirtual()
	e := w.engine(t, c.use)
	f.rewrite(pathFinalize, processing(""))
	f.rewrite(pathOrder, processing(""))
	setAside := w.order(t, e, "aside.example.com")
	_, err := e.Run(t.Context(), setAside, w.journal(setAside))
	wantError(t, err, acme.Slow, "ca-slow")

	invalid := func(_ int, order map[string]any, _ http.Header) {
		order["status"] = "invalid"
		order["error"] = map[string]any{"type": urn + "caa", "detail": "too late"}
	}
	for name, tt := range map[string]struct {
		prepare func()
		later   time.Duration
		class   acme.Class
		code    string
		over    bool
	}{
		"processing": {func() { f.rewrite(pathOrder, processing("86400")) }, 0, acme.Slow,
			"ca-slow", false},
		"ready": {func() {
			f.rewrite(pathOrder, func(_ int, order map[string]any, _ http.Header) {
				order["status"] = "ready"
			})
		}, 0, acme.Slow, "ca-slow", false},
		"invalid": {func() { f.rewrite(pathOrder, invalid) }, 0, acme.CAAForbids, "ca-caa", true},
		"expired": {func() { f.rewrite(pathOrder, processing("")) }, 8 * 24 * time.Hour,
			acme.OrderGone, "order-expired", true},
		"gone": {func() { f.answer(pathOrder, 0, 404, nil, "") }, 0, acme.Unreachable,
			"ca-protocol", false},
		"gone and expired": {func() { f.answer(pathOrder, 0, 404, nil, "") }, 8 * 24 * time.Hour,
			acme.OrderGone, "order-expired", true},
		"down": {func() { f.answer(pathOrder, 0, 503, nil, "") }, 0, acme.Unreachable,
			"ca-unreachable", false},
	} {
		f.reset()
		tt.prepare()
		later := newVirtual()
		later.advance(c.passed() + time.Minute + tt.later)
		o := *setAside
		_, err := w.engine(t, later.use).Collect(t.Context(), &o)
		if e := wantError(t, err, tt.class, tt.code); e.Over != tt.over ||
			tt.class == acme.Slow && e.RetryAfter < time.Minute {
			t.Errorf("%s: Over = %v, RetryAfter = %s; want %v", name, e.Over, e.RetryAfter, tt.over)
		}
		if n := f.requests(pathFinalize) + f.requests(pathChallenge); n > 0 {
			t.Errorf("%s: Collect changed the order with %d requests", name, n)
		}
	}

	f.reset()
	cert, err := e.Collect(t.Context(), setAside)
	if err != nil {
		t.Fatal(err)
	}
	w.verify(t, cert, setAside)
	if setAside.Step != controlplane.StepIssued || setAside.CertificateURL == "" {
		t.Errorf("step = %s, URL = %q; want issued with its URL", setAside.Step,
			setAside.CertificateURL)
	}
}
