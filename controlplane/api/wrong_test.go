package api

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// Invalid input gets a status, code, pointers, and a fix.
func TestWrongInput(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.newDomain(w.org, "taken.example.com")
	other := w.newDomain(w.newOrg("Other"), "theirs.example.com")
	id := controlplane.NewID

	for _, c := range []struct {
		what, method, path string
		body               any
		options            []option
		status             int
		code               string
		pointers           []string
	}{
		{"no token", "GET", "/api/domains", nil, []option{anonymous}, 401, "token-missing", nil},
		{"basic auth", "GET", "/api/domains", nil, []option{header("Authorization", "Basic eDp5")},
			401, "token-missing", nil},
		{"garbage token", "GET", "/api/domains", nil, []option{as("secret")}, 401,
			"token-invalid", nil},
		{"unknown token", "GET", "/api/domains", nil, []option{as(controlplane.NewSecret())}, 401,
			"token-invalid", nil},
		{"another organization's domain", "GET", "/api/domains/" + other.ID, nil, nil, 404,
			"not-found", nil},
		{"another organization's domain by name", "GET", "/api/domains/" + other.Name, nil, nil,
			404, "not-found", nil},
		{"ill-formed id", "GET", "/api/domains/dom_x", nil, nil, 404, "not-found", nil},
		{"NUL in a path", "GET", "/api/domains/a%00.example.com", nil, nil, 404, "not-found", nil},
		{"invalid UTF-8 in a path", "GET", "/api/jobs/%ff", nil, nil, 404, "not-found", nil},
		{"id of another kind", "GET", "/api/jobs/" + d.ID, nil, nil, 404, "not-found", nil},
		{"no such certificate", "GET", "/api/certificates/" + id("crt"), nil, nil, 404,
			"not-found", nil},
		{"no such token", "GET", "/api/tokens/" + id("tok"), nil, nil, 404, "not-found", nil},
		{"domain filter that names none", "GET", "/api/jobs?domain=none.example.com", nil, nil, 404,
			"not-found", nil},

		{"name missing", "POST", "/api/domains", "{}", nil, 422,
			"field-required", []string{"/name field-required"}},
		{"name empty", "POST", "/api/domains", `{"name":""}`, nil, 422,
			"name-empty", []string{"/name name-empty"}},
		{"name wildcard", "POST", "/api/domains", `{"name":"*"}`, nil, 422,
			"name-wildcard", []string{"/name name-wildcard"}},
		{"name wildcard below", "POST", "/api/domains", `{"name":"*.example.com"}`, nil, 422,
			"name-wildcard", []string{"/name name-wildcard"}},
		{"name IPv4", "POST", "/api/domains", `{"name":"192.0.2.1"}`, nil, 422,
			"name-ip", []string{"/name name-ip"}},
		{"name IPv6", "POST", "/api/domains", `{"name":"[2001:db8::1]"}`, nil, 422,
			"name-ip", []string{"/name name-ip"}},
		{"name public suffix", "POST", "/api/domains", `{"name":"co.uk"}`, nil, 422,
			"name-public-suffix", []string{"/name name-public-suffix"}},
		{"name with 11 labels", "POST", "/api/domains",
			`{"name":"1.2.3.4.5.6.7.8.9.example.com"}`, nil, 422,
			"name-too-many-labels", []string{"/name name-too-many-labels"}},
		{"name under an unknown top-level domain", "POST", "/api/domains", `{"name":"nas.lan"}`,
			nil, 422, "name-unknown-tld", []string{"/name name-unknown-tld"}},
		{"delegation of a public suffix", "GET", "/api/delegation?name=co.uk", nil, nil, 422,
			"name-public-suffix", []string{"/name name-public-suffix"}},
		{"ended profile", "POST", "/api/domains",
			`{"name":"a.example.com","profile":"tlsclient"}`, nil, 422,
			"profile-invalid", []string{"/profile profile-invalid"}},
		{"name special use", "POST", "/api/domains", `{"name":"shop.onion"}`, nil, 422,
			"name-special-use", []string{"/name name-special-use"}},
		{"delegation of a special-use name", "GET", "/api/delegation?name=nas.home.arpa", nil, nil,
			422, "name-special-use", []string{"/name name-special-use"}},
		{"name in the validation zone", "POST", "/api/domains",
			`{"name":"Shop.acme.dcvaas.test"}`, nil, 422,
			"name-in-zone", []string{"/name name-in-zone"}},
		{"delegation in the validation zone", "GET", "/api/delegation?name=acme.dcvaas.test", nil,
			nil, 422, "name-in-zone", []string{"/name name-in-zone"}},
		{"chain of white space", "POST", "/api/domains",
			`{"name":"a.example.com","preferred_chain":" "}`, nil, 422,
			"chain-invalid", []string{"/preferred_chain chain-invalid"}},
		{"name of 300 characters", "POST", "/api/domains", `{"name":"` +
			strings.Repeat("abcdefgh.", 33) + `com"}`, nil, 422,
			"name-too-long", []string{"/name name-too-long"}},
		{"name beyond the contract", "POST", "/api/domains", `{"name":"` +
			strings.Repeat("a", 1025) + `"}`, nil, 422, "too-long", []string{"/name too-long"}},
		{"name with spaces", "POST", "/api/domains", `{"name":"my shop.example.com"}`, nil, 422,
			"name-invalid", []string{"/name name-invalid"}},
		{"name with emoji", "POST", "/api/domains", `{"name":"💩.example.com"}`, nil, 422,
			"name-invalid", []string{"/name name-invalid"}},
		{"name a number", "POST", "/api/domains", `{"name":5}`, nil, 422,
			"wrong-type", []string{"/name wrong-type"}},
		{"name null", "POST", "/api/domains", `{"name":null}`, nil, 422,
			"wrong-type", []string{"/name wrong-type"}},
		{"name with NUL", "POST", "/api/domains", `{"name":"a\u0000.example.com"}`, nil, 422,
			"invalid-character", []string{"/name invalid-character"}},
		{"label with NUL", "POST", "/api/domains",
			`{"name":"a.example.com","labels":{"k":"\u0000"}}`, nil, 422,
			"invalid-character", []string{"/labels/k invalid-character"}},
		{"delegation of a bad name", "GET", "/api/delegation?name=*.x.example.com", nil, nil, 422,
			"name-wildcard", []string{"/name name-wildcard"}},
		{"delegation of no name", "GET", "/api/delegation", nil, nil, 400,
			"invalid-parameter", []string{"/name invalid-parameter"}},
		{"duplicate", "POST", "/api/domains", `{"name":"TAKEN.example.com."}`, nil, 409,
			"domain-exists", nil},
		{"several fields", "POST", "/api/domains",
			`{"key_type":"dsa","auto_issue":"yes","labels":[]}`, nil, 422, "invalid-fields",
			[]string{"/auto_issue wrong-type", "/key_type not-one-of", "/labels wrong-type",
				"/name field-required"}},
		{"several options", "POST", "/api/domains", `{"name":"x","ca":"third","profile":"A B"}`,
			nil, 422, "invalid-fields",
			[]string{"/name name-public-suffix", "/profile profile-invalid", "/ca ca-unknown"}},
		{"nothing to change", "PATCH", "/api/domains/" + d.ID, `{}`, nil, 422,
			"too-few", []string{" too-few"}},
		{"null that cannot be", "PATCH", "/api/domains/" + d.ID, `{"wildcard":null}`, nil, 422,
			"wrong-type", []string{"/wildcard wrong-type"}},
		{"no certificate to renew", "POST", "/api/domains/" + d.ID + "/renew", nil, nil, 409,
			"no-certificate", nil},

		{"not JSON", "POST", "/api/domains", `{"name":`, nil, 400, "malformed-json", nil},
		{"no body", "POST", "/api/domains", "", nil, 400, "malformed-json", nil},
		{"an array", "POST", "/api/domains", `[]`, nil, 400, "malformed-json", nil},
		{"null", "POST", "/api/domains", `null`, nil, 400, "malformed-json", nil},
		{"trailing data", "POST", "/api/domains", `{"name":"a.example.com"}{}`, nil, 400,
			"malformed-json", nil},
		{"not UTF-8", "POST", "/api/domains", "{\"name\":\"\xff\"}", nil, 400,
			"malformed-json", nil},
		{"unknown field", "POST", "/api/domains", `{"name":"a.example.com","wild":true}`, nil, 400,
			"unknown-field", []string{"/wild unknown-field"}},
		{"field in another case", "POST", "/api/domains",
			`{"name":"a.example.com","Wildcard":true}`, nil, 400,
			"unknown-field", []string{"/Wildcard unknown-field"}},
		{"unknown and wrong fields", "POST", "/api/domains", `{"a/b":1,"key_type":"x"}`, nil, 400,
			"unknown-field",
			[]string{"/a~1b unknown-field", "/key_type not-one-of", "/name field-required"}},
		{"wrong content type", "POST", "/api/domains",
			`{}`, []option{header("Content-Type", "text/plain")}, 415,
			"unsupported-media-type", nil},
		{"no content type", "POST", "/api/domains",
			`{}`, []option{func(r *http.Request) { r.Header.Del("Content-Type") }}, 415,
			"unsupported-media-type", nil},
		{"another charset", "POST", "/api/domains",
			`{}`, []option{header("Content-Type", "application/json; charset=utf-16")}, 415,
			"unsupported-media-type", nil},
		{"compressed", "POST", "/api/domains", `{}`, []option{header("Content-Encoding", "gzip")},
			415, "unsupported-media-type", nil},
		{"too large", "POST", "/api/domains", `{"name":"` + strings.Repeat("a", maxBody) +
			`"}`, nil, 413, "body-too-large", nil},

		{"unknown parameter", "GET", "/api/domains?state=active", nil, nil, 400,
			"unknown-parameter", []string{"/state unknown-parameter"}},
		{"parameter where none is", "GET", "/api/domains/" + d.ID + "/?x=1", nil, nil, 404,
			"no-such-path", nil},
		{"several parameters", "GET", "/api/domains?limit=0&status=gone&x=1&sort=id", nil, nil, 400,
			"malformed-request",
			[]string{"/limit invalid-limit", "/sort invalid-parameter", "/status invalid-parameter",
				"/x unknown-parameter"}},
		{"limit too large", "GET", "/api/domains?limit=201", nil, nil, 400,
			"invalid-limit", []string{"/limit invalid-limit"}},
		{"limit no number", "GET", "/api/domains?limit=ten", nil, nil, 400,
			"invalid-limit", []string{"/limit invalid-limit"}},
		{"limit empty", "GET", "/api/domains?limit=", nil, nil, 400,
			"invalid-limit", []string{"/limit invalid-limit"}},
		{"parameter twice", "GET", "/api/domains?q=a&q=b", nil, nil, 400,
			"invalid-parameter", []string{"/q invalid-parameter"}},
		{"no time", "GET", "/api/domains?expires_before=tomorrow", nil, nil, 400,
			"invalid-parameter", []string{"/expires_before invalid-parameter"}},
		{"a day that is not", "GET", "/api/domains?expires_before=2026-02-30T00:00:00Z", nil, nil,
			400, "invalid-parameter", []string{"/expires_before invalid-parameter"}},
		{"NUL in a parameter", "GET", "/api/domains?q=%00", nil, nil, 400,
			"invalid-parameter", []string{"/q invalid-parameter"}},
		{"invalid UTF-8", "GET", "/api/domains?label=%ff", nil, nil, 400,
			"invalid-parameter", []string{"/label invalid-parameter"}},
		{"query that cannot be read", "GET", "/api/domains?q=%zz", nil, nil, 400,
			"malformed-query", nil},
		{"wait too long", "GET", "/api/domains/" + d.ID + "?wait=61s", nil, nil, 400,
			"invalid-parameter", []string{"/wait invalid-parameter"}},
		{"wait without unit", "GET", "/api/domains/" + d.ID + "?wait=5", nil, nil, 400,
			"invalid-parameter", []string{"/wait invalid-parameter"}},
		{"forged cursor", "GET", "/api/domains?cursor=Zm9yZ2Vk", nil, nil, 400,
			"invalid-cursor", []string{"/cursor invalid-cursor"}},
		{"cursor with invalid base64", "GET", "/api/jobs?cursor=!", nil, nil, 400,
			"invalid-cursor", []string{"/cursor invalid-cursor"}},
		{"long header", "GET", "/api/domains/" + d.ID, nil,
			[]option{header("If-None-Match", `"`+strings.Repeat("a", 600)+`"`)}, 400,
			"invalid-parameter", []string{"/If-None-Match invalid-parameter"}},

		{"no such path", "GET", "/api/nothing", nil, nil, 404, "no-such-path", nil},
		{"path not clean", "GET", "//api/domains", nil, nil, 404, "no-such-path", nil},
		{"wrong method", "PUT", "/api/domains/" + d.ID, nil, nil, 405, "method-not-allowed", nil},
		{"wrong method before other routes", "DELETE", "/api/domains", nil, nil, 405,
			"method-not-allowed", nil},

		{"token without scopes", "POST", "/api/tokens", `{"name":"x","scopes":[]}`, nil, 422,
			"too-few", []string{"/scopes too-few"}},
		{"token with an unknown scope", "POST", "/api/tokens",
			`{"name":"x","scopes":["domains:read","all"]}`, nil, 422,
			"not-one-of", []string{"/scopes/1 not-one-of"}},
		{"token that has expired", "POST", "/api/tokens",
			`{"name":"x","scopes":["domains:read"],"expires_at":"2020-01-01T00:00:00Z"}`, nil, 422,
			"expires-in-past", []string{"/expires_at expires-in-past"}},
		{"token with no time", "POST", "/api/tokens",
			`{"name":"x","scopes":["domains:read"],"expires_at":"2026-02-30T00:00:00Z"}`, nil, 422,
			"invalid-format", []string{"/expires_at invalid-format"}},
		{"token with a time that RFC 3339 cannot express in UTC", "POST", "/api/tokens",
			`{"name":"x","scopes":["domains:read"],"expires_at":"9999-12-31T23:59:59-01:00"}`, nil,
			422, "invalid-format", []string{"/expires_at invalid-format"}},
		{"token with a time before the first year", "POST", "/api/tokens",
			`{"name":"x","scopes":["domains:read"],"expires_at":"0001-01-01T00:00:00+01:00"}`, nil,
			422, "invalid-format", []string{"/expires_at invalid-format"}},
		{"filter by a time that RFC 3339 cannot express in UTC", "GET",
			"/api/domains?expires_before=9999-12-31T23:59:59-01:00", nil, nil, 400,
			"invalid-parameter", []string{"/expires_before invalid-parameter"}},
		{"fraction of a second", "POST", "/api/invitations",
			`{"role":"member","expires_in_seconds":3600.5}`, nil, 422, "wrong-type",
			[]string{"/expires_in_seconds wrong-type"}},
		{"number without a value", "POST", "/api/invitations",
			`{"role":"member","expires_in_seconds":1e999}`, nil, 422, "out-of-range",
			[]string{"/expires_in_seconds out-of-range"}},
		{"number beyond integers", "POST", "/api/invitations",
			`{"role":"member","expires_in_seconds":1e300}`, nil, 422, "out-of-range",
			[]string{"/expires_in_seconds out-of-range"}},
		{"token for a domain that is not there", "POST", "/api/tokens",
			`{"name":"x","scopes":["domains:read"],"domain_ids":["` + other.ID + `"]}`, nil, 422,
			"domain-unknown", []string{"/domain_ids/0 domain-unknown"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			w := *w
			w.t = t
			a := w.do(c.method, c.path, c.body, c.options...).problem(c.status, c.code)
			if got := a.pointers(); !slices.Equal(got, c.pointers) {
				t.Errorf("errors %q, want %q", got, c.pointers)
			}
			switch c.status {
			case 401:
				if !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer ") {
					t.Errorf("WWW-Authenticate %q", a.header.Get("WWW-Authenticate"))
				}
			case 405:
				if a.header.Get("Allow") == "" {
					t.Error("no Allow")
				}
			case 409:
				if a.string("existing_id") != d.ID {
					t.Errorf("existing_id %v", a.json["existing_id"])
				}
			}
		})
	}
}

func TestAllow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for path, want := range map[string]string{
		"/api/domains":            "GET, HEAD, POST",
		"/api/domains/x":          "GET, HEAD, PATCH, DELETE",
		"/api/domains/x/verify":   "POST",
		"/api/certificates/x/key": "POST",
		"/readyz":                 "GET, HEAD",
	} {
		if got := w.do("PUT", path, nil).is(405).header.Get("Allow"); got != want {
			t.Errorf("%s: Allow %q, want %q", path, got, want)
		}
	}
}

func TestExpiredToken(t *testing.T) {
	t.Parallel()
	var now time.Time
	w := newWorld(t, func(c *Config) { c.Now = func() time.Time { return now } })
	expires := time.Now().Add(time.Hour)
	secret := w.newToken(w.org, lifecycle.NewToken{Scopes: controlplane.Scopes(),
		ExpiresAt: &expires})
	now = time.Now()
	w.do("GET", "/api/domains", nil, as(secret)).is(200)
	now = expires.Add(time.Second)
	a := w.do("GET", "/api/domains", nil, as(secret)).problem(401, "token-expired")
	if got := a.header.Get("WWW-Authenticate"); !strings.Contains(got, `error="invalid_token"`) {
		t.Errorf("WWW-Authenticate %q", got)
	}
}

// Values from a request are neither returned nor logged.
func TestNoEcho(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const secret = "hunter2-do-not-tell"
	for _, body := range []string{
		`{"name":5,"csr_pem":{"` + "x" + `":"` + secret + `"}}`,
		`{"name":["` + secret + `"]}`,
		`{"name":"a.example.com","key_type":"` + secret + `"}`,
		`{"name":"a.example.com","profile":"` + strings.Repeat(secret, 10) + `"}`,
		`{"name":"a.example.com","x":"` + secret + `"}`,
		`{"name":"a.example.com","labels":{"a":["` + secret + `"]}}`,
		`{"name":"` + secret,
		`{"name":"a.example.com"} ` + secret,
		`"` + secret + `"`,
	} {
		if a := w.do("POST", "/api/domains", body); a.status < 400 ||
			strings.Contains(a.body, secret) {
			t.Errorf("POST %s = %d %s, want a rejection without the secret", body, a.status, a.body)
		}
	}
	for _, path := range []string{"/api/domains?status=" + secret, "/api/domains?limit=" + secret,
		"/api/domains?cursor=" + secret,
		"/api/domains?expires_before=" + secret, "/api/domains?x=" + secret, "/api/domains?q=" +
			secret} {
		if a := w.do("GET", path, nil); strings.Contains(a.body, secret) {
			t.Errorf("GET %s = %s, want a response without the secret", path, a.body)
		}
	}
	w.do("GET", "/api/domains", nil, as(secret)).is(401)
	if strings.Contains(w.log.String(), secret) {
		t.Errorf("logged: %s", w.log)
	}
	if strings.Contains(w.log.String(), w.token) {
		t.Error("the token was logged")
	}
}
