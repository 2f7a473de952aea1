package provider

import (
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// Invalid configurations are reported at the attribute, before any call of the API.
func TestValidators(t *testing.T) {
	const id = "dom_01k9z5w7r8e4bs6v0q1d2m3n4p"
	privateKey := "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"
	broken, _ := pem.Decode([]byte(makeCSR(t, "ec256", "a.example")))
	broken.Bytes[len(broken.Bytes)-1] ^= 1 // the end of the signature
	text := func(s ...string) tftypes.Value {
		var out []tftypes.Value
		for _, v := range s {
			out = append(out, tftypes.NewValue(tftypes.String, v))
		}
		return tftypes.NewValue(tftypes.Set{ElementType: tftypes.String}, out)
	}
	labels := func(key string, value any) tftypes.Value {
		return tftypes.NewValue(tftypes.Map{ElementType: tftypes.String},
			map[string]tftypes.Value{key: tftypes.NewValue(tftypes.String, value)})
	}
	many := map[string]tftypes.Value{}
	for i := range 65 {
		many[strings.Repeat("k", i%60+1)+string(rune('a'+i/60))] = tftypes.NewValue(tftypes.String,
			"v")
	}
	create := func(s string) tftypes.Value {
		typ := tftypes.Object{AttributeTypes: map[string]tftypes.Type{"create": tftypes.String,
			"update": tftypes.String}}
		return tftypes.NewValue(typ,
			map[string]tftypes.Value{"create": tftypes.NewValue(tftypes.String, s),
				"update": tftypes.NewValue(tftypes.String, nil)})
	}
	type given = map[string]any
	domain := func(name string, value any) given {
		return given{"name": "example.com",
			name: value}
	}
	const hook = "https://example.com/hooks/dcvaas"
	webhook := func(name string, value any) given { return given{"url": hook, name: value} }
	token := func(more given) given {
		out := given{"name": "x", "scopes": text("domains:read")}
		for k, v := range more {
			out[k] = v
		}
		return out
	}

	for name, c := range map[string]struct {
		kind  string
		given given
		at    string // attribute; empty: valid
		want  string
	}{
		"domain": {"dcvaas_domain", given{"name": "Bücher.Example."}, "", ""},
		"unknown domain values": {"dcvaas_domain", given{"name": tftypes.UnknownValue,
			"csr_pem": tftypes.UnknownValue}, "", ""},
		"CSR": {"dcvaas_domain",
			domain("csr_pem", makeCSR(t, "ec384", "example.com")), "", ""},
		"additional names": {"dcvaas_domain", given{"name": "example.com", "wildcard": true,
			"additional_names": text("*.example.net", "example.net", "Bücher.Example.",
				"a.b.example.com")}, "", ""},
		"additional name twice": {"dcvaas_domain", domain("additional_names",
			text("www.example.com", "WWW.example.com.")), "additional_names",
			"is listed more than once"},
		"own name": {"dcvaas_domain", domain("additional_names", text("Example.com")),
			"additional_names", "is the domain's name"},
		"own wildcard": {"dcvaas_domain", given{"name": "example.com", "wildcard": true,
			"additional_names": text("*.example.com")}, "additional_names",
			"because wildcard is true"},
		"covered name": {"dcvaas_domain", given{"name": tftypes.UnknownValue,
			"additional_names": text("www.example.net", "*.example.net")}, "additional_names",
			"*.example.net covers www.example.net"},
		"covered by wildcard": {"dcvaas_domain", given{"name": "example.com", "wildcard": true,
			"additional_names": text("www.example.com")}, "additional_names",
			"*.example.com covers www.example.com"},
		"covering name": {"dcvaas_domain", given{"name": "www.example.com",
			"wildcard": tftypes.UnknownValue, "additional_names": text("*.example.com")},
			"additional_names", "covers www.example.com"},
		"malformed additional name": {"dcvaas_domain", domain("additional_names",
			text("*.*.example.com")), "additional_names", "more than one asterisk"},
		"null additional name": {"dcvaas_domain", domain("additional_names",
			tftypes.NewValue(tftypes.Set{ElementType: tftypes.String},
				[]tftypes.Value{tftypes.NewValue(tftypes.String, nil)})), "additional_names",
			"null"},
		"unknown additional name": {"dcvaas_domain", given{"name": "example.com",
			"csr_pem": makeCSR(t, "ec256", "other.example.com"),
			"additional_names": tftypes.NewValue(tftypes.Set{ElementType: tftypes.String},
				[]tftypes.Value{tftypes.NewValue(tftypes.String, tftypes.UnknownValue)})}, "", ""},
		"CSR without an additional name": {"dcvaas_domain", given{"name": "example.com",
			"csr_pem":          makeCSR(t, "ec256", "example.com"),
			"additional_names": text("www.example.com")}, "csr_pem", "www.example.com"},
		"CSR with an additional name": {"dcvaas_domain", given{"name": "example.com",
			"csr_pem":          makeCSR(t, "ec256", "example.com", "www.example.com"),
			"additional_names": text("WWW.example.com")}, "", ""},
		"partial with a CSR": {"dcvaas_domain", given{"name": "example.com",
			"csr_pem": makeCSR(t, "ec256", "example.com"), "issue_partial": true},
			"issue_partial", "can't be issued for a part"},
		"too many names": {"dcvaas_domain", domain("additional_names", text(numbered(100)...)),
			"additional_names", "would have 101 names"},
		"as many names as possible": {"dcvaas_domain", domain("additional_names",
			text(numbered(99)...)), "", ""},
		"too many names of a profile": {"dcvaas_domain", given{"name": "example.com",
			"additional_names": text(numbered(25)...), "profile": "shortlived"},
			"additional_names", "at most 25"},
		"both forms of records": {"dcvaas_domain_validation", given{"domain_id": id,
			"record_fqdn": "a", "record_fqdns": text("a")}, "record_fqdn", "cannot be specified"},
		"empty name": {"dcvaas_domain", given{"name": ""}, "name", "The name is empty"},
		"wildcard name": {"dcvaas_domain", given{"name": "*.example.com"}, "name",
			"set wildcard to true"},
		"IP address": {"dcvaas_domain", given{"name": "192.0.2.1"}, "name",
			"is an IP address"},
		"email address": {"dcvaas_domain", given{"name": "me@example.com"}, "name",
			"Use only its domain: example.com"},
		"URL with a user": {"dcvaas_domain", given{"name": "https://me@example.com"}, "name",
			"looks like a URL"},
		"URL": {"dcvaas_domain", given{"name": "https://example.com/"}, "name",
			"looks like a URL"},
		"spaces": {"dcvaas_domain", given{"name": "exa mple.com"}, "name",
			"contains white space"},
		"underscore": {"dcvaas_domain", given{"name": "a_b.example.com"}, "name",
			"contains an underscore"},
		"public suffix": {"dcvaas_domain", given{"name": "co.uk"}, "name",
			"is a public suffix"},
		"private suffix": {"dcvaas_domain", given{"name": "github.io", "wildcard": true}, "", ""},
		"11 labels": {"dcvaas_domain", given{"name": "1.2.3.4.5.6.7.8.9.example.com"}, "name",
			"more than 10 labels"},
		"special use": {"dcvaas_domain", given{"name": "shop.onion"}, "name",
			"reserved for special use"},
		// the service has the current list
		"unknown top-level domain": {"dcvaas_domain", given{"name": "nas.lan"}, "", ""},
		"RSA 3072":                 {"dcvaas_domain", domain("key_type", "rsa3072"), "", ""},
		"CSR with byte order mark": {"dcvaas_domain",
			domain("csr_pem", "\ufeff"+makeCSR(t, "ec256", "example.com")), "", ""},
		"CSR with other names": {"dcvaas_domain",
			domain("csr_pem", makeCSR(t, "ec256", "www.example.com")), "csr_pem",
			"is missing example.com"},
		"CSR without the wildcard": {"dcvaas_domain", given{"name": "Example.com.",
			"wildcard": true, "csr_pem": makeCSR(t, "ec256", "example.com")}, "csr_pem",
			"is missing *.example.com"},
		"CSR and unknown wildcard": {"dcvaas_domain", given{"name": "example.com",
			"wildcard": tftypes.UnknownValue, "csr_pem": makeCSR(t, "ec256", "other.example")}, "",
			""},
		"CSR and unknown name": {"dcvaas_domain", given{"name": tftypes.UnknownValue,
			"csr_pem": makeCSR(t, "ec256", "other.example")}, "", ""},
		"ended profile": {"dcvaas_domain", domain("profile", "tlsclient"), "profile",
			"ended the profile"},
		"long label": {"dcvaas_domain", given{"name": strings.Repeat("a", 64) + ".com"},
			"name", "is not a valid domain name"},
		"emoji": {"dcvaas_domain", given{"name": "💩.example.com"}, "name",
			"such as an emoji"},
		"challenge name": {"dcvaas_domain", given{"name": "_acme-challenge.example.com"},
			"name", "is a challenge name"},
		"key type": {"dcvaas_domain", domain("key_type", "dsa"), "key_type",
			"must be one of ec256"},
		"key type of the CSR": {"dcvaas_domain", given{"name": "example.com", "key_type": "ec256",
			"csr_pem": makeCSR(t, "ec256", "example.com")}, "", ""},
		"another key type than that of the CSR": {"dcvaas_domain", given{"name": "example.com",
			"key_type": "ec256", "csr_pem": makeCSR(t, "ec384", "example.com")}, "key_type",
			"The CSR has a key of type ec384. Omit key_type"},
		"text instead of CSR": {"dcvaas_domain", domain("csr_pem", "x"), "csr_pem",
			"contains no PEM block"},
		"private key": {"dcvaas_domain", domain("csr_pem", privateKey), "csr_pem",
			"contains a private key"},
		"two CSRs": {"dcvaas_domain",
			domain("csr_pem", makeCSR(t, "ec256", "a.example")+makeCSR(t, "ec256", "b.example")),
			"csr_pem", "contains more than the CSR"},
		"invalid CSR signature": {"dcvaas_domain",
			domain("csr_pem", string(pem.EncodeToMemory(broken))), "csr_pem",
			"signature does not match its key"},
		"malformed CSR": {"dcvaas_domain", domain("csr_pem",
			"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"),
			"csr_pem", "contains no readable PKCS#10 request"},
		"empty profile": {"dcvaas_domain", domain("profile", ""), "profile",
			"is not a profile name"},
		"empty CA": {"dcvaas_domain", domain("ca", ""), "ca", "must not be empty"},
		"empty chain": {"dcvaas_domain", domain("preferred_chain", ""), "preferred_chain",
			"Use 1 to 255 characters"},
		"label key": {"dcvaas_domain", domain("labels", labels("a b", "c")), `labels`,
			"Use 1 to 63 letters"},
		"label value": {"dcvaas_domain",
			domain("labels", labels("a", strings.Repeat("x", 256))), "labels", "at most 255 characters"},
		"label value of 255 characters": {"dcvaas_domain",
			domain("labels", labels("a", strings.Repeat("ü", 255))), "", ""},
		"label key with a dot in front": {"dcvaas_domain", domain("labels", labels(".team", "x")),
			"labels", `The label key ".team"`},
		"null in labels": {"dcvaas_domain", domain("labels", labels("a", nil)), "labels", "null"},
		"too many labels": {"dcvaas_domain",
			domain("labels", tftypes.NewValue(tftypes.Map{ElementType: tftypes.String}, many)),
			"labels", "at most 64"},

		"wait": {"dcvaas_domain_validation", given{"domain_id": id,
			"wait_for": "certificate", "timeouts": create("5m")}, "", ""},
		"domain name for ID": {"dcvaas_domain_validation", given{"domain_id": "example.com"},
			"domain_id", "must be the ID of a domain"},
		"wait_for": {"dcvaas_domain_validation", given{"domain_id": id, "wait_for": "dns"},
			"wait_for", "must be one of"},
		"timeouts": {"dcvaas_domain_validation", given{"domain_id": id, "timeouts": create("soon")},
			"timeouts", "must be a string containing a sequence of decimal numbers"},

		"zero timeout": {"dcvaas_domain_validation", given{"domain_id": id,
			"timeouts": create("0s")}, "timeouts", "is not positive"},
		"empty record": {"dcvaas_domain_validation", given{"domain_id": id, "record_fqdn": ""},
			"record_fqdn", "at least 1"},
		"unknown wait": {"dcvaas_domain_validation", given{"domain_id": tftypes.UnknownValue,
			"timeouts": tftypes.UnknownValue}, "", ""},

		"token": {"dcvaas_api_token",
			token(given{"expires_in": "90d", "rotate_before_expiry": "30d"}), "", ""},
		"no scopes": {"dcvaas_api_token", token(given{"scopes": text()}), "scopes",
			"at least 1"},
		"unknown scope form": {"dcvaas_api_token", token(given{"scopes": text("everything")}),
			"scopes", "must be one of domains:read"},
		// the service has the current list
		"unknown scope": {"dcvaas_api_token", token(given{"scopes": text("domains:fly")}), "", ""},
		"empty token name": {"dcvaas_api_token", token(given{"name": ""}), "name",
			"must not be empty"},
		"blank token name": {"dcvaas_api_token", token(given{"name": " \t"}), "name",
			"not only white space"},
		"token name with spaces around it": {"dcvaas_api_token", token(given{"name": " x "}), "",
			""},
		"token name of 200 characters": {"dcvaas_api_token",
			token(given{"name": strings.Repeat("ü", 200)}), "", ""},
		"token name of 201 characters": {"dcvaas_api_token",
			token(given{"name": strings.Repeat("ü", 201)}), "name", "at most 200 characters"},
		"names for IDs": {"dcvaas_api_token",
			token(given{"domain_ids": text("example.com")}), "domain_ids",
			"must be the ID of a domain"},
		"malformed time": {"dcvaas_api_token", token(given{"expires_at": "tomorrow"}),
			"expires_at", "RFC3339"},
		"malformed duration": {"dcvaas_api_token", token(given{"expires_in": "soon"}),
			"expires_in", "is not a duration such as 90d"},
		"fractional days": {"dcvaas_api_token", token(given{"expires_in": "1.5d"}),
			"expires_in", "is not a number of days"},
		"too many days": {"dcvaas_api_token", token(given{"expires_in": "100000d"}),
			"expires_in", "is more than 65535 days"},
		"negative duration": {"dcvaas_api_token", token(given{"expires_in": "-1h"}),
			"expires_in", "expiry is in the past"},
		"both expiries": {"dcvaas_api_token",
			token(given{"expires_in": "1h", "expires_at": "2030-01-01T00:00:00Z"}), "expires_at",
			"cannot be specified when"},
		"rotation with expires_at": {"dcvaas_api_token", token(given{"rotate_before_expiry": "1h"}),
			"rotate_before_expiry", "must be specified when"},
		"rotation at creation": {"dcvaas_api_token",
			token(given{"expires_in": "1h", "rotate_before_expiry": "60m"}), "rotate_before_expiry",
			"must be shorter than expires_in"},
		"zero overlap": {"dcvaas_api_token", token(given{"rotation_overlap": "0s"}), "", ""},
		"long overlap": {"dcvaas_api_token", token(given{"rotation_overlap": "8d"}),
			"rotation_overlap", "from 0 to 7 days"},
		"negative overlap": {"dcvaas_api_token", token(given{"rotation_overlap": "-1s"}),
			"rotation_overlap", "from 0 to 7 days"},
		"overlap of half a second": {"dcvaas_api_token",
			token(given{"rotation_overlap": "500ms"}), "rotation_overlap", "in whole seconds"},
		"lifetime of half a second": {"dcvaas_api_token", token(given{"expires_in": "500ms"}),
			"expires_in", "expiry is in the past"},
		"time beyond the year 9999 in UTC": {"dcvaas_api_token",
			token(given{"expires_at": "9999-12-31T23:59:59-01:00"}), "expires_at",
			"years 1 to 9999 in UTC"},

		"account": {"dcvaas_acmedns_account", given{"allow_from": textSet("192.0.2.0/24",
			"[2001:db8::]/32")}, "", ""},
		"unknown account values": {"dcvaas_acmedns_account", given{
			"allow_from": tftypes.UnknownValue, "delegation_id": tftypes.UnknownValue}, "", ""},
		"network without a length": {"dcvaas_acmedns_account",
			given{"allow_from": textSet("192.0.2.1")}, "allow_from", "in CIDR notation"},
		"name of a delegation": {"dcvaas_acmedns_account",
			given{"delegation_id": "example.com"}, "delegation_id", "the ID of a delegation"},

		"webhook": {"dcvaas_webhook", webhook("events", text("domain.renewed")), "",
			""},
		"unknown webhook values": {"dcvaas_webhook", given{"url": tftypes.UnknownValue,
			"secret_wo": tftypes.UnknownValue, "secret_wo_version": 1}, "", ""},
		"loopback receiver": {"dcvaas_webhook", given{"url": "http://127.0.0.1:8000/hook"}, "",
			""},
		"webhook secret": {"dcvaas_webhook", given{"url": hook,
			"secret_wo": webhookSecret(1), "secret_wo_version": 1}, "", ""},
		"http": {"dcvaas_webhook", given{"url": "http://c2VjcmV0.example.com/"},
			"url", "is not https"},
		"no host": {"dcvaas_webhook", given{"url": "https:///c2VjcmV0"}, "url",
			"has no host"},
		"empty URL": {"dcvaas_webhook", given{"url": ""}, "url", "must not be empty"},
		"private address": {"dcvaas_webhook", given{"url": "https://10.0.0.1/c2VjcmV0"},
			"url", "not on the public Internet"},
		"reserved port": {"dcvaas_webhook",
			given{"url": "https://example.com:22/c2VjcmV0"}, "url", "a port that is not allowed"},
		"null among events": {"dcvaas_webhook",
			webhook("events", tftypes.NewValue(tftypes.Set{ElementType: tftypes.String},
				[]tftypes.Value{tftypes.NewValue(tftypes.String, nil)})), "events", "null"},
		"empty event": {"dcvaas_webhook", webhook("events", text("")), "events",
			"at least 1"},
		"long description": {"dcvaas_webhook",
			webhook("description", strings.Repeat("ü", 201)), "description", "at most 200"},
		"short secret": {"dcvaas_webhook", given{"url": hook,
			"secret_wo": "whsec_c2VjcmV0", "secret_wo_version": 1}, "secret_wo", "24 to 64 bytes"},
		"secret without prefix": {"dcvaas_webhook", given{"url": hook, "secret_wo": "c2VjcmV0",
			"secret_wo_version": 1}, "secret_wo", "Use \"whsec_\""},
		"secret without version": {"dcvaas_webhook", webhook("secret_wo", webhookSecret(1)),
			"secret_wo", "must be specified when"},
		"version without secret": {"dcvaas_webhook", webhook("secret_wo_version", 1),
			"secret_wo_version", "must be specified when"},

		"delegation": {"dcvaas_delegation", given{"name": "Bücher.Example."}, "", ""},
		"delegation of a wildcard": {"dcvaas_delegation", given{"name": "*.example.com"}, "name",
			"is a wildcard"},

		"member": {"dcvaas_organization_member", given{"login": "Octo-Cat",
			"role": "owner"}, "", ""},
		"malformed login": {"dcvaas_organization_member", given{"login": "@octocat",
			"role": "member"}, "login", "does not belong to a GitHub user"},
		"empty login": {"dcvaas_organization_member", given{"login": "", "role": "member"},
			"login", "must not be empty"},
		"unknown role": {"dcvaas_organization_member", given{"login": "octocat", "role": "Admin"},
			"role", "must be one of"},
	} {
		t.Run(name, func(t *testing.T) {
			server, err := providerserver.NewProtocol6WithError(New("test")())()
			if err != nil {
				t.Fatal(err)
			}
			r := &rpc{acc: &acc{T: t}, ProviderServer: server}
			schemas, err := server.GetProviderSchema(t.Context(),
				&tfprotov6.GetProviderSchemaRequest{})
			if err != nil {
				t.Fatal(err)
			}
			typ := schemas.ResourceSchemas[c.kind].ValueType()
			resp, err := server.ValidateResourceConfig(t.Context(),
				&tfprotov6.ValidateResourceConfigRequest{TypeName: c.kind,
					Config: r.value(typ, c.given),
					ClientCapabilities: &tfprotov6.ValidateResourceConfigClientCapabilities{
						WriteOnlyAttributesAllowed: true}})
			if err != nil {
				t.Fatal(err)
			}
			if c.at == "" {
				r.ok(resp.Diagnostics)
				return
			}
			found := false
			for _, d := range resp.Diagnostics {
				if strings.Contains(d.Summary+d.Detail, "c2VjcmV0") {
					t.Errorf("the diagnostic contains a possible secret: %s", d.Detail)
				}
				first, _, _ := strings.Cut(strings.TrimPrefix(d.Attribute.String(),
					`AttributeName("`), `"`)
				found = found || (first == c.at && strings.Contains(d.Summary+" "+d.Detail, c.want))
			}
			if !found {
				t.Errorf("ValidateResourceConfig returns no %q at %s", c.want, c.at)
				for _, d := range resp.Diagnostics {
					t.Logf("%s: %s: %s", d.Attribute, d.Summary, d.Detail)
				}
			}
		})
	}
}

// numbered returns n names.
func numbered(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("n%d.example.net", i)
	}
	return names
}
