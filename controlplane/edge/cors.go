package edge

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// preflightLife is how many seconds a browser may cache the response to a preflight. Browsers cap
// it: Chromium at two hours.
const preflightLife = "7200"

// CORS lets pages of other origins call the API (Fetch §3.2) with a token. Responses never allow
// credentials, so browsers send no cookies that pages could use. A nil *CORS allows no origin.
type CORS struct {
	any     bool
	origins []string // as browsers send them
	methods string
	headers string // of requests
	exposed string // headers of responses
}

// NewCORS returns CORS for a list of origins, such as https://app.example.com, or "*" for any
// origin. Pages can use the methods and headers, and read the exposed headers of responses. It
// ignores empty origins, returns nil without any other, and an error that names an invalid one.
func NewCORS(origins, methods, headers, exposed []string) (*CORS, error) {
	c := &CORS{methods: strings.Join(methods, ", "), headers: strings.Join(headers, ", "),
		exposed: strings.Join(exposed, ", ")}
	for _, o := range origins {
		switch o {
		case "":
			continue
		case "*":
			c.any = true
			continue
		}
		u, err := url.Parse(o)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" ||
			o != u.Scheme+"://"+u.Host || u.Hostname() == "" {
			return nil, fmt.Errorf("invalid origin %q: must be * or like https://app.example.com",
				o)
		}
		c.origins = append(c.origins, strings.ToLower(o))
	}
	if !c.any && len(c.origins) == 0 {
		return nil, nil
	}
	return c, nil
}

// Allow adds the headers that let the origin of a request read the response. It reports whether the
// request is a preflight of that origin (Fetch §3.2.2), whose response has no body.
func (c *CORS) Allow(h http.Header, r *http.Request) (preflight bool) {
	if c == nil {
		return false
	}
	origin := r.Header.Get("Origin")
	if !c.any {
		h.Add("Vary", "Origin")
	}
	switch {
	case origin == "":
		return false
	case c.any:
		h.Set("Access-Control-Allow-Origin", "*")
	case slices.Contains(c.origins, origin):
		h.Set("Access-Control-Allow-Origin", origin)
	default:
		return false
	}
	if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
		h.Set("Access-Control-Allow-Methods", c.methods)
		h.Set("Access-Control-Allow-Headers", c.headers)
		h.Set("Access-Control-Max-Age", preflightLife)
		return true
	}
	h.Set("Access-Control-Expose-Headers", c.exposed)
	return false
}
