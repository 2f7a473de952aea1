package acmedns

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// acme-dns's end-to-end test (test/e2e/tester.py), request for request: health, registration
// without a body, two updates, and a query.
func TestEndToEndOfACMEDNS(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, base := range []string{"", w.base(), Prefix} {
		if r := w.request(http.MethodGet, base+"/health", ""); r.status != 200 || r.body != "" {
			t.Errorf("GET %s/health = %d %q, want 200 without a body", base, r.status, r.body)
		}
	}
	for _, base := range []string{"", w.base()} {
		a := w.registerAt(base, "")
		values := []string{value("secret_token_1"), value("secret_token_2")}
		for _, v := range values {
			w.want("update", w.post(base+"/update", a, update(a.Subdomain, v)), 200,
				`{"txt": "`+v+`"}`)
		}
		for server := range w.names {
			if got := w.txt(server, a.Fulldomain); !slices.Equal(got, values) {
				t.Errorf("TXT of %s = %q, want %q", a.Fulldomain, got, values)
			}
		}
	}
}

// The tests of acme-dns's registration (pkg/api/api_test.go).
func TestRegisterLikeACMEDNS(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.request(http.MethodPost, w.base()+"/register", "")
	if r.status != 201 || r.header.Get("Content-Type") != "application/json" {
		t.Errorf("register = %d, %s, want 201, application/json", r.status,
			r.header.Get("Content-Type"))
	}
	if !strings.HasPrefix(r.body, `{"username":"`) || strings.ContainsAny(r.body, " \n") ||
		!strings.HasSuffix(r.body, `"allowfrom":[]}`) {
		t.Errorf("body = %s, want compact JSON on one line that ends with \"allowfrom\":[]", r.body)
	}
	var a account
	w.must(json.Unmarshal([]byte(r.body), &a))
	if len(a.Username) != 36 || len(a.Password) != 40 || len(a.Subdomain) != 32 ||
		a.Fulldomain != a.Subdomain+"."+testZone {
		t.Errorf("account = %+v, want a UUID, a password of 40, a label of 32, and its name", a)
	}
	a = w.registerAt(w.base(),
		`{"allowfrom": ["123.123.123.123/32", "2001:db8:a0b:12f0::1/32", "[::1]/64"]}`)
	if want := []string{"123.123.123.123/32", "2001:db8:a0b:12f0::1/32",
		"::1/64"}; !slices.Equal(a.Allowfrom, want) {
		t.Errorf("allowfrom = %q, want %q", a.Allowfrom, want)
	}
	for _, body := range []string{"{}", "null", `{"allowfrom": null}`, `{"other": 1}`,
		" {\"allowfrom\": []}\n"} {
		if a := w.registerAt(w.base(), body); a.Allowfrom == nil {
			t.Errorf("allowfrom of register %s = null, want []", body)
		}
	}
	for _, network := range []string{"invalid", "1.2.3.4/33", "1.2/24", "1.2.3.4",
		"12345:db8:a0b:12f0::1/32", "1234::123::123::1/32"} {
		w.want("register with "+network, w.request(http.MethodPost, w.base()+"/register",
			`{"allowfrom": ["`+network+`"]}`), 400, `{"error": "invalid_allowfrom_cidr"}`)
	}
	w.want("register with too many networks", w.request(http.MethodPost, w.base()+"/register",
		`{"allowfrom": ["::/0"`+strings.Repeat(`, "::/0"`, 100)+`]}`), 400,
		`{"error": "invalid_allowfrom_cidr"}`)
	for _, body := range []string{`{"allowfrom': '1.1.1.1/32'}`, `"allowfrom": "1.1.1.1/32"`,
		`{"allowfrom": "[1.1.1.1/32]"`, `"allowfrom": "1.1.1.1/32"}`, `{allowfrom: "1.2.3.4"}`,
		`{allowfrom: [1.2.3.4]}`, `that's not a json payload`,
		`{"subdomain": 5}`, `{"username": "x"}`, `[]`, `""`, `{"allowfrom": [1]}`,
		`{"allowfrom": "` + strings.Repeat("x", maxBody) + `"}`} {
		w.want("register with malformed JSON", w.request(http.MethodPost, w.base()+"/register",
			body), 400, `{"error": "malformed_json_payload"}`)
	}
	for method, status := range map[string]int{http.MethodGet: 405, http.MethodPut: 405,
		http.MethodOptions: 200} {
		if r := w.request(method, "/register", ""); r.status != status {
			t.Errorf("%s /register = %d, want %d", method, r.status, status)
		}
	}
}

// The tests of acme-dns's updates (pkg/api/api_test.go), and the order of its checks. One of its
// expectations differs: only the last entry of X-Forwarded-For, from the proxy, is the client.
func TestUpdateLikeACMEDNS(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const forbidden, badTXT, ok = `{"error": "forbidden"}`, `{"error": "bad_txt"}`,
		`{"txt": "` + validTXT + `"}`
	free := w.registerAt("", "")
	v4 := w.registerAt("", `{"allowfrom": ["192.168.1.2/32"]}`)
	v6 := w.registerAt("", `{"allowfrom": ["2002:c0a8::0/32"]}`)
	with := func(a account, username, password string) account {
		a.Username, a.Password = username, password
		return a
	}
	for _, c := range []struct {
		what   string
		a      account
		body   string
		from   string
		status int
		want   string
	}{
		{"another subdomain", free, update("example.com", validTXT), "", 401, forbidden},
		{"an invalid value", free, update(free.Subdomain, "idk m8 bbl lmao"), "", 400, badTXT},
		{"no credentials", account{}, "", "", 401, forbidden},
		{"a username that is not a UUID", with(free, "non-uuid-user", "tooshortpass"),
			update(free.Subdomain, validTXT), "", 401, forbidden},
		{"a short password", with(free, free.Username, "tooshortpass"),
			update(free.Subdomain, validTXT), "", 401, forbidden},
		{"an unknown user", with(free, "a097455b-52cc-4569-90c8-7a4b97c6eba8",
			"LongEnoughPassButNoUserExists___________"),
			update(free.Subdomain, validTXT), "", 401, forbidden},
		{"another account's subdomain", free, update(v4.Subdomain, validTXT), "", 401, forbidden},
		{"a short value", free, update(free.Subdomain, "tooshortfortxt"), "", 400, badTXT},
		{"a long value", free, update(free.Subdomain, validTXT+"a"), "", 400, badTXT},
		{"a value with another character", free,
			update(free.Subdomain, "aaaaaaaaaaaaaaaaaaaaaaaaaaaa#aaaaaaaaaaaaaa"), "", 400, badTXT},
		{"a value that is a number", free,
			`{"subdomain": "` + free.Subdomain + `", "txt": 1234567890}`, "", 400, badTXT},
		{"no value", free, `{"subdomain": "` + free.Subdomain + `"}`, "", 400, badTXT},
		{"malformed JSON", free, `{"subdomain": "` + free.Subdomain, "", 401, forbidden},
		{"no body", free, "", "", 401, forbidden},
		{"a username of the wrong type before the others", free,
			`{"username": "x", "subdomain": "` + free.Subdomain + `", "txt": "` + validTXT + `"}`,
			"", 401, forbidden},
		{"a wrong password", with(free, free.Username, strings.Repeat("x", 40)),
			update(free.Subdomain, validTXT), "", 401, forbidden},
		{"all valid", free, update(free.Subdomain, validTXT), "", 200, ok},
		{"a trailing text", free, update(free.Subdomain, validTXT) + "x", "", 200, ok},
		{"other names of the fields", free,
			`{"Subdomain": "` + free.Subdomain + `", "TXT": "` + validTXT + `"}`, "", 200, ok},
		{"a username in capitals", with(free, strings.ToUpper(free.Username), free.Password),
			update(free.Subdomain, validTXT), "", 200, ok},
		{"any address", free, update(free.Subdomain, validTXT), "any text", 200, ok},
		{"several addresses", free, update(free.Subdomain, validTXT),
			"10.0.0.1, 1.2.3.4 ,3.4.5.6", 200, ok},
		{"its own address", v4, update(v4.Subdomain, validTXT), "127.0.0.1", 401, forbidden},
		{"other addresses", v4, update(v4.Subdomain, validTXT),
			"10.0.0.1, 10.0.0.2, 192.168.1.3", 401, forbidden},
		{"an allowed address", v4, update(v4.Subdomain, validTXT), "192.168.1.2", 200, ok},
		{"an allowed address from the proxy", v4, update(v4.Subdomain, validTXT),
			"10.1.1.1 ,8.8.8.8, 192.168.1.2", 200, ok},
		{"an allowed address that the client claims", v4, update(v4.Subdomain, validTXT),
			"10.1.1.1 ,192.168.1.2, 8.8.8.8", 401, forbidden},
		{"an address before the value is checked", v4, update(v4.Subdomain, "short"),
			"10.1.1.1", 401, forbidden},
		{"an allowed IPv6 address", v6, update(v6.Subdomain, validTXT), "2002:c0a8:b4dc:0d3::0",
			200, ok},
		{"another IPv6 address", v6, update(v6.Subdomain, validTXT), "2002:c0a7:0ff::0", 401,
			forbidden},
		{"a further IPv6 address", v6, update(v6.Subdomain, validTXT),
			"2002:c0a8:d3ad:b33f:c0ff:33b4:dc0d:3b4d", 200, ok},
	} {
		var headers []string
		if c.from != "" {
			headers = []string{"X-Forwarded-For", c.from}
		}
		for _, base := range []string{"", Prefix, w.base()} {
			r := w.post(base+"/update", c.a, c.body, headers...)
			w.want("update with "+c.what, r, c.status, c.want)
			if got := r.header.Get("Content-Type"); got != "application/json" {
				t.Errorf("Content-Type with %s = %q, want application/json", c.what, got)
			}
		}
	}
}

// Pages of other origins can use the API, as with acme-dns.
func TestCORS(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.registerAt("", "")
	r := w.request(http.MethodOptions, "/update", "", "Origin", "https://app.example.com",
		"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "x-api-key")
	if r.status != 204 || r.header.Get("Access-Control-Allow-Origin") != "*" ||
		!strings.Contains(r.header.Get("Access-Control-Allow-Headers"), "X-Api-Key") {
		t.Errorf("preflight = %d %v, want 204 that allows X-Api-Key", r.status, r.header)
	}
	r = w.post("/update", a, update(a.Subdomain, validTXT), "Origin", "https://app.example.com")
	if r.status != 200 || r.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("update = %d %v, want 200 that any origin can read", r.status, r.header)
	}
}
