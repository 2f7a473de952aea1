package provider

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// verdict is an input, and what the provider and the API say about it.
type verdict struct {
	kind    string // of the resource
	given   map[string]any
	body    map[string]any // of the API; nil: the same
	code    string         // of the API's error; "": both accept the input
	at      string         // attribute and field of the error
	pointer string         // of the API's error, if it is not "/" and at
	says    string         // in the provider's error, if it is not the text of the API
	// deferred is set if the provider leaves the decision to the service, with a warning.
	deferred bool
}

// verdicts returns inputs by name. name returns a domain name that no other input has.
func verdicts(t *testing.T, name func() string, login string) map[string]verdict {
	repeat := strings.Repeat
	all := map[string]verdict{}
	add := func(what string, v verdict) { all[v.kind+" "+what] = v }

	for in, code := range map[string]string{"": "name-empty", "*.example.com": "name-wildcard",
		"192.0.2.1": "name-ip", "co.uk": "name-public-suffix", "shop.onion": "name-special-use",
		"Nas.Local.": "name-special-use", "a b.example.com": "name-invalid",
		"a..example.com": "name-invalid", "☃.example.com": "name-invalid",
		"https://example.com": "name-invalid", "1.2.3.4.5.6.7.8.9.example.com": "name-too-many-labels",
		"_acme-challenge.example.com": "name-challenge", repeat("a", 64) + ".example.com": "name-invalid",
		repeat("ü", 150) + ".example.com": "name-invalid", repeat("ü", 1025): "too-long",
		repeat("ü.", 300) + "com": "name-too-long"} {
		for _, kind := range []string{"dcvaas_domain", "dcvaas_delegation"} {
			add("name "+in, verdict{kind: kind, given: map[string]any{"name": in}, code: code,
				at: "name"})
		}
	}
	add("name under an unknown TLD", verdict{kind: "dcvaas_domain",
		given: map[string]any{"name": "nas.lan"}, code: "name-unknown-tld", at: "name",
		deferred: true})
	for what, prefix := range map[string]string{"plain": "", "upper case": "WWW.",
		"Unicode": "Bücher.", "A-label": "xn--bcher-kva.", "30 ü": repeat("ü", 30) + "."} {
		add("name "+what, verdict{kind: "dcvaas_domain",
			given: map[string]any{"name": prefix + name() + "."}})
	}

	option := func(what, attribute string, value, sent any, code, pointer string) {
		domain := name()
		add(what, verdict{kind: "dcvaas_domain",
			given: map[string]any{"name": domain, attribute: value},
			body:  map[string]any{"name": domain, attribute: sent}, code: code, at: attribute,
			pointer: pointer})
	}
	for key, code := range map[string]string{"team": "", "a/b.c_d-e": "", repeat("k", 63): "",
		".team": "label-key-invalid", "team.": "label-key-invalid", "": "label-key-invalid",
		"ü": "label-key-invalid", repeat("k", 64): "label-key-invalid"} {
		option("label key "+key, "labels", textMap(key, "x"), map[string]string{key: "x"}, code,
			"/labels/"+key)
	}
	for value, code := range map[string]string{"": "", repeat("ü", 255): "", repeat("😀", 255): "",
		repeat("ü", 256): "too-long"} {
		option("label value "+value, "labels", textMap("k", value), map[string]string{"k": value},
			code, "/labels/k")
	}
	text := func(attribute, value, code string) {
		option(attribute+" "+value, attribute, value, value, code, "")
	}
	text("key_type", "rsa3072", "")
	text("key_type", "dsa", "not-one-of")
	text("profile", "classic", "")
	text("profile", "tlsclient", "profile-invalid")
	text("profile", "A B", "profile-invalid")
	text("profile", repeat("p", 65), "too-long")
	text("preferred_chain", repeat("ü", 255), "")
	text("preferred_chain", " ISRG Root X1", "chain-invalid")
	text("preferred_chain", repeat("ü", 256), "too-long")
	text("ca", repeat("ü", 65), "too-long")

	additional := func(what, code, index string, of func(name string) []string) {
		domain := name()
		names := of(domain)
		slices.Sort(names)
		add("additional "+what, verdict{kind: "dcvaas_domain", code: code, at: "additional_names",
			given: map[string]any{"name": domain, "wildcard": true,
				"additional_names": textSet(names...)},
			body:    map[string]any{"name": domain, "wildcard": true, "additional_names": names},
			pointer: "/additional_names" + index})
	}
	additional("names", "", "", func(name string) []string {
		return []string{"*.more-" + name, "MORE-" + name + ".", "a.b." + name}
	})
	additional("name twice", "name-duplicate", "/1", func(name string) []string {
		return []string{"A-" + name, "a-" + name}
	})
	additional("name of the domain", "name-duplicate", "/0", func(name string) []string {
		return []string{strings.ToUpper(name)}
	})
	additional("name that is covered", "name-redundant", "/0", func(name string) []string {
		return []string{"www." + name}
	})
	additional("name that is invalid", "name-public-suffix", "/0", func(string) []string {
		return []string{"*.co.uk"}
	})
	additional("names that are too many", "names-too-many", "", func(string) []string {
		return numbered(99)
	})
	domain := name()
	partial := map[string]any{"name": domain, "issue_partial": true,
		"csr_pem": makeCSR(t, "ec256", domain)}
	add("partial with a CSR", verdict{kind: "dcvaas_domain", code: "partial-with-csr",
		at: "issue_partial", given: partial})

	csr := func(what, code string, make func(name string) string) {
		domain := name()
		add("CSR "+what, verdict{kind: "dcvaas_domain", code: code, at: "csr_pem",
			given: map[string]any{"name": domain, "csr_pem": make(domain)}})
	}
	csr("valid", "", func(name string) string { return makeCSR(t, "ec384", name) })
	csr("with a byte order mark", "", func(name string) string {
		return "\ufeff" + strings.ReplaceAll(makeCSR(t, "ec256", name), "\n", "\r\n")
	})
	csr("of another name", "csr-names", func(name string) string {
		return makeCSR(t, "ec256", "other."+name)
	})
	csr("malformed", "csr-malformed", func(string) string { return "x" })
	csr("too long", "too-long", func(string) string { return repeat("ü", 64<<10+1) })
	domain = name()
	add("key type of another CSR", verdict{kind: "dcvaas_domain", code: "key-type-mismatch",
		at: "key_type", given: map[string]any{"name": domain, "key_type": "ec256",
			"csr_pem": makeCSR(t, "ec384", domain)}})
	domain = name()
	add("key type of the CSR", verdict{kind: "dcvaas_domain", given: map[string]any{
		"name": domain, "key_type": "ec384", "csr_pem": makeCSR(t, "ec384", domain)}})

	token := func(what, attribute string, value, sent any, code, pointer string, deferred bool) {
		given := map[string]any{"name": "verdict", "scopes": textSet("domains:read")}
		body := map[string]any{"name": "verdict", "scopes": []string{"domains:read"}}
		given[attribute], body[attribute] = value, sent
		add(what, verdict{kind: "dcvaas_api_token", given: given, body: body, code: code,
			at: attribute, pointer: pointer, deferred: deferred})
	}
	for in, code := range map[string]string{"deploy": "", " deploy ": "", repeat("ü", 200): "",
		repeat("ü", 150): "", repeat("😀", 200): "", "": "too-short", " \t": "name-invalid",
		repeat("ü", 201): "too-long"} {
		token("name "+in, "name", in, in, code, "", false)
	}
	for in, code := range map[string]string{"certificates:key": "", "everything": "not-one-of",
		"Domains:read": "not-one-of", "": "not-one-of"} {
		token("scope "+in, "scopes", textSet(in), []string{in}, code, "/scopes/0", false)
	}
	token("scope of a newer service", "scopes", textSet("domains:fly"), []string{"domains:fly"},
		"not-one-of", "/scopes/0", true)
	for in, code := range map[string]string{"2126-01-31T12:00:00Z": "",
		"2126-01-31T12:00:00.5+14:00": "", "9999-12-31T23:59:59Z": "",
		"9999-12-31T23:59:59-01:00": "invalid-format", "2126-02-30T12:00:00Z": "invalid-format",
		"2126-01-31": "invalid-format", "": "invalid-format"} {
		token("expiry "+in, "expires_at", in, in, code, "", false)
		if _, err := time.Parse(time.RFC3339, in); err != nil {
			v := all["dcvaas_api_token expiry "+in]
			v.says = "not valid RFC3339" // the type of the attribute rejects it before the rule
			all["dcvaas_api_token expiry "+in] = v
		}
	}
	for in, code := range map[string]string{"90d": "", "1m": "", "0s": "expires-in-past",
		"-1h": "expires-in-past"} {
		d, err := time.ParseDuration(strings.Replace(in, "90d", "2160h", 1))
		if err != nil {
			t.Fatal(err)
		}
		token("lifetime "+in, "expires_in", in, nil, code, "/expires_at", false)
		v := all["dcvaas_api_token lifetime "+in]
		delete(v.body, "expires_in")
		v.body["expires_at"] = time.Now().Add(d)
	}

	webhook := func(what, attribute string, value, sent any, code string) {
		given := map[string]any{"url": webhookURL, attribute: value}
		body := map[string]any{"url": webhookURL, attribute: sent}
		add(what, verdict{kind: "dcvaas_webhook", given: given, body: body, code: code,
			at: attribute})
	}
	long := "https://example.com/" + repeat("ü", 2028)
	for in, code := range map[string]string{"https://example.com/hook": "", long: "",
		"https://192.0.2.1/": "webhook-url", "": "too-short", long + "ü": "too-long",
		"http://example.com": "webhook-url", "https://printer.local/": "webhook-url",
		"https://example.com:22/": "webhook-url", "https://example.com/#x": "webhook-url",
		"https://user@example.com/": "webhook-url"} {
		webhook("URL "+in, "url", in, in, code)
	}
	for in, code := range map[string]string{"": "", repeat("ü", 200): "",
		repeat("ü", 201): "too-long"} {
		webhook("description "+in, "description", in, in, code)
	}
	for in, code := range map[string]string{webhookSecret(1): "", "whsec_c2VjcmV0": "webhook-secret",
		repeat("x", 129): "too-long"} {
		webhook("secret "+in, "secret_wo", in, in, code)
		v := all["dcvaas_webhook secret "+in]
		delete(v.body, "secret_wo")
		v.given["secret_wo_version"], v.body["secret"], v.pointer = 1, in, "/secret"
		all["dcvaas_webhook secret "+in] = v
	}

	for in, code := range map[string]string{login: "", strings.ToUpper(login) + "-2": "",
		"@octocat": "login-unknown", "a b": "login-unknown", "ü": "login-unknown", "": "too-short",
		repeat("a", 101): "too-long"} {
		add("login "+in, verdict{kind: "dcvaas_organization_member", code: code, at: "login",
			given: map[string]any{"login": in, "role": "member"}})
	}
	return all
}

// paths has the path that creates a resource.
var paths = map[string]string{"dcvaas_domain": "/api/domains", "dcvaas_api_token": "/api/tokens",
	"dcvaas_delegation": "/api/delegations",
	"dcvaas_webhook":    "/api/webhooks", "dcvaas_organization_member": "/api/members"}

// The provider rejects at plan time what the API rejects, at the same field and with the same text,
// and accepts what the API accepts.
func TestSameVerdict(t *testing.T) {
	a := newAcc(t).organization(t)
	r := newRPC(a)
	for what, v := range verdicts(t, a.domain, a.login()) {
		if len(what) > 80 {
			what = what[:80]
		}
		t.Run(what, func(t *testing.T) {
			detail := cmp.Or(v.says, a.verdictOfAPI(t, v))
			resp, err := r.ValidateResourceConfig(t.Context(),
				&tfprotov6.ValidateResourceConfigRequest{TypeName: v.kind,
					Config: r.value(r.schemas.ResourceSchemas[v.kind].ValueType(), v.given),
					ClientCapabilities: &tfprotov6.ValidateResourceConfigClientCapabilities{
						WriteOnlyAttributesAllowed: true}})
			if err != nil {
				t.Fatal(err)
			}
			want := tfprotov6.DiagnosticSeverityError
			if v.deferred {
				want = tfprotov6.DiagnosticSeverityWarning
			}
			found := false
			for _, d := range resp.Diagnostics {
				if v.code == "" || d.Severity == tfprotov6.DiagnosticSeverityError && v.deferred {
					t.Errorf("the provider returns %s: %s, want nothing", d.Summary, d.Detail)
				}
				first, _ := d.Attribute.Steps()[0].(tftypes.AttributeName)
				found = found || d.Severity == want && string(first) == v.at &&
					strings.Contains(d.Detail, detail)
			}
			if v.code != "" && !found {
				t.Errorf("the provider returns %v, want %q at %s, as the API", resp.Diagnostics,
					detail, v.at)
			}
		})
	}
}

// verdictOfAPI sends the input to the API, checks the code and the pointer of its error, and
// returns its text.
func (a *acc) verdictOfAPI(t *testing.T, v verdict) string {
	t.Helper()
	body := v.body
	if body == nil {
		body = v.given
	}
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.endpoint+paths[v.kind],
		bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+a.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var problem struct {
		Code   string
		Errors []struct{ Pointer, Code, Detail string }
	}
	if err := json.NewDecoder(resp.Body).Decode(&problem); err != nil {
		t.Fatal(err)
	}
	if v.code == "" {
		if resp.StatusCode != http.StatusCreated {
			t.Errorf("the API returns %d %+v, want 201", resp.StatusCode, problem)
		}
		return ""
	}
	pointer := v.pointer
	if pointer == "" {
		pointer = "/" + v.at
	}
	if len(problem.Errors) != 1 || problem.Errors[0].Code != v.code ||
		problem.Errors[0].Pointer != pointer {
		t.Fatalf("the API returns %d %+v, want %s at %s", resp.StatusCode, problem, v.code, pointer)
	}
	return problem.Errors[0].Detail
}
