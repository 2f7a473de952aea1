package webhook

import (
	"net/http"
	"strings"
	"testing"
)

// The usual address of a private network, and what leads to one, is never connected to.
func TestGuardRefusesPrivateAddresses(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, func(http.ResponseWriter, *http.Request) { t.Error("it was reached") })
	for _, address := range []string{"127.0.0.1", "10.0.0.1", "169.254.169.254", "100.64.0.1", "192.168.1.1", "0.0.0.0", "224.0.0.1", "255.255.255.255"} {
		a := New(Config{Roots: r.roots(), Resolver: nameServer(t, []string{address})}).Post(t.Context(), message(t, "https://example.com:"+r.port()))
		if a.StatusCode != 0 || !strings.Contains(a.Error, "not on the public Internet") || strings.Contains(a.Error, address) {
			t.Errorf("%s: %+v", address, a)
		}
	}
	for _, url := range []string{"https://127.0.0.1:" + r.port(), "https://[::1]:" + r.port(), "https://[::ffff:127.0.0.1]:" + r.port(), "https://localhost:" + r.port(), "http://example.com"} {
		if a := New(Config{Roots: r.roots()}).Post(t.Context(), message(t, url)); a.StatusCode != 0 || a.Error == "" {
			t.Errorf("%s: %+v", url, a)
		}
	}
}

// A name that is public when it is looked up first and private a moment later: what is
// connected to is what counts. 127.0.0.1 stands for the public Internet here, and all else
// for a private network.
func TestGuardSeesWhatANameBecame(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	private := newReceiverAt(t, "127.0.0.2", r.port())
	p := New(Config{Roots: r.roots(), Resolver: nameServer(t, []string{"127.0.0.1"}, []string{"127.0.0.2"}), Allowed: only("127.0.0.1")})
	m := message(t, "https://example.com:"+r.port())
	if a := p.Post(t.Context(), m); !a.Delivered() || r.count() != 1 {
		t.Fatalf("%+v", a)
	}
	if a := p.Post(t.Context(), m); a.StatusCode != 0 || !strings.Contains(a.Error, "not on the public Internet") {
		t.Errorf("%+v", a)
	}
	// Among several addresses the private ones are passed over.
	p = New(Config{Roots: r.roots(), Resolver: nameServer(t, []string{"127.0.0.2", "127.0.0.1"}), Allowed: only("127.0.0.1")})
	if a := p.Post(t.Context(), m); !a.Delivered() || r.count() != 2 {
		t.Errorf("%+v", a)
	}
	if n := private(); n != 0 {
		t.Errorf("the private network was connected to %d times", n)
	}
}

// A proxy would connect to what nobody has looked at.
func TestPostGoesThroughNoProxy(t *testing.T) {
	proxy := newReceiver(t, func(http.ResponseWriter, *http.Request) { t.Error("the proxy was asked") })
	t.Setenv("HTTPS_PROXY", proxy.URL)
	t.Setenv("https_proxy", proxy.URL)
	r := newReceiver(t, func(http.ResponseWriter, *http.Request) {})
	p := New(Config{Roots: r.roots(), Resolver: nameServer(t, []string{"127.0.0.1"}), Allowed: only("127.0.0.1")})
	if a := p.Post(t.Context(), message(t, "https://example.com:"+r.port())); !a.Delivered() {
		t.Errorf("%+v", a)
	}
}
