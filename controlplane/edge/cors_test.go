package edge

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestNewCORS(t *testing.T) {
	for _, origin := range []string{"app.example.com", "https://", "https://app.example.com/",
		"https://app.example.com/x", "https://u@app.example.com", "null", "ftp://example.com",
		"https://*.example.com:x", "https://:1"} {
		if c, err := NewCORS([]string{origin}, nil, nil, nil); err == nil {
			t.Errorf("NewCORS(%q) = %+v, want an error", origin, c)
		}
	}
	for _, none := range [][]string{nil, {""}} {
		if c, err := NewCORS(none, nil, nil, nil); c != nil || err != nil {
			t.Errorf("NewCORS(%q) = %v, %v, want nil", none, c, err)
		}
	}
}

func TestCORS(t *testing.T) {
	listed := []string{"https://App.example.com", "http://localhost:3000"}
	for name, c := range map[string]struct {
		origins       []string
		method        string
		origin        string
		allowed, vary string
		preflight     bool
	}{
		"any":                  {[]string{"*"}, "GET", "https://x.example", "*", "", false},
		"any, same origin":     {[]string{"*"}, "GET", "", "", "", false},
		"any, opaque origin":   {[]string{"*"}, "GET", "null", "*", "", false},
		"preflight":            {[]string{"*"}, "OPTIONS", "https://x.example", "*", "", true},
		"listed":               {listed, "GET", "https://app.example.com", "https://app.example.com", "Origin", false},
		"with a port":          {listed, "OPTIONS", "http://localhost:3000", "http://localhost:3000", "Origin", true},
		"another":              {listed, "GET", "https://x.example", "", "Origin", false},
		"preflight of another": {listed, "OPTIONS", "https://x.example", "", "Origin", false},
		"another port":         {listed, "GET", "http://localhost:3001", "", "Origin", false},
		"opaque origin":        {listed, "GET", "null", "", "Origin", false},
		"none":                 {nil, "OPTIONS", "https://x.example", "", "", false},
	} {
		cors, err := NewCORS(c.origins, []string{"GET", "POST"}, []string{"Authorization"},
			[]string{"ETag", "Location"})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(c.method, "/api/domains", nil)
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		if c.method == http.MethodOptions {
			r.Header.Set("Access-Control-Request-Method", "POST")
		}
		h := http.Header{}
		preflight := cors.Allow(h, r)
		exposed := ""
		if c.allowed != "" && !c.preflight {
			exposed = "ETag, Location"
		}
		if preflight != c.preflight || h.Get("Access-Control-Allow-Origin") != c.allowed ||
			h.Get("Vary") != c.vary || h.Get("Access-Control-Expose-Headers") != exposed ||
			c.preflight != (h.Get("Access-Control-Max-Age") != "") ||
			c.preflight != (h.Get("Access-Control-Allow-Methods") == "GET, POST") ||
			c.preflight != (h.Get("Access-Control-Allow-Headers") == "Authorization") {
			t.Errorf("%s: Allow = %t, %v, want %t with %q exposing %q", name, preflight, h,
				c.preflight, c.allowed, exposed)
		}
		if h.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: credentials are allowed", name)
		}
	}
}
