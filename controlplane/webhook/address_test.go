package webhook

import (
	"net/http"
	"strings"
	"testing"
)

// TestGuardRejectsPrivateAddresses checks that private addresses, and names that resolve to them,
// are never connected to.
func TestGuardRejectsPrivateAddresses(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, func(http.ResponseWriter,
		*http.Request) {
		t.Error("the private address received a request")
	})
	for _, address := range []string{"127.0.0.1", "10.0.0.1", "169.254.169.254", "100.64.0.1",
		"192.168.1.1", "0.0.0.0", "224.0.0.1", "255.255.255.255"} {
		a := New(Config{Roots: r.roots(), Resolver: nameServer(t, []string{address})}).Post(
			t.Context(), message(t, "https://example.com:"+r.port()))
		if a.StatusCode != 0 || !strings.Contains(a.Error, "not on the public Internet") ||
			strings.Contains(a.Error, address) {
			t.Errorf("Post to a name at %s = %+v, want no connection", address, a)
		}
	}
	for _, url := range []string{"https://127.0.0.1:" + r.port(), "https://[::1]:" + r.port(),
		"https://[::ffff:127.0.0.1]:" + r.port(), "https://localhost:" + r.port(),
		"http://example.com"} {
		if a := New(Config{Roots: r.roots()}).Post(t.Context(),
			message(t, url)); a.StatusCode != 0 || a.Error == "" {
			t.Errorf("Post(%s) = %+v, want an error without a connection", url, a)
		}
	}
}

// TestGuardChecksTheConnectedAddress resolves a name to a public address and then to a private one:
// the address of the connection counts. 127.0.0.1 stands for the public Internet here, and all
// other addresses for a private network.
func TestGuardChecksTheConnectedAddress(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, func(w http.ResponseWriter,
		_ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})
	private := newReceiverAt(t, "127.0.0.2", r.port())
	p := New(Config{Roots: r.roots(), Resolver: nameServer(t, []string{"127.0.0.1"},
		[]string{"127.0.0.2"}), Allowed: only("127.0.0.1")})
	m := message(t, "https://example.com:"+r.port())
	if a := p.Post(t.Context(), m); !a.Delivered() || r.count() != 1 {
		t.Fatalf("Post to the public address = %+v after %d requests, want it delivered", a,
			r.count())
	}
	if a := p.Post(t.Context(), m); a.StatusCode != 0 ||
		!strings.Contains(a.Error, "not on the public Internet") {
		t.Errorf("Post to the same name, now private = %+v, want no connection", a)
	}
	// Among several addresses, private ones are skipped.
	p = New(Config{Roots: r.roots(), Resolver: nameServer(t, []string{"127.0.0.2", "127.0.0.1"}),
		Allowed: only("127.0.0.1")})
	if a := p.Post(t.Context(), m); !a.Delivered() || r.count() != 2 {
		t.Errorf("Post to a name with both addresses = %+v, want it delivered", a)
	}
	if n := private(); n != 0 {
		t.Errorf("connections to the private network = %d, want 0", n)
	}
}

// TestPostGoesThroughNoProxy checks that no proxy is used, because a proxy would connect to
// unchecked addresses.
func TestPostGoesThroughNoProxy(t *testing.T) {
	proxy := newReceiver(t, func(http.ResponseWriter,
		*http.Request) {
		t.Error("the proxy received a request")
	})
	t.Setenv("HTTPS_PROXY", proxy.URL)
	t.Setenv("https_proxy", proxy.URL)
	r := newReceiver(t, func(http.ResponseWriter, *http.Request) {})
	p := New(Config{Roots: r.roots(), Resolver: nameServer(t, []string{"127.0.0.1"}),
		Allowed: only("127.0.0.1")})
	if a := p.Post(t.Context(), message(t, "https://example.com:"+r.port())); !a.Delivered() {
		t.Errorf("Post with a proxy in the environment = %+v, want it delivered", a)
	}
}
