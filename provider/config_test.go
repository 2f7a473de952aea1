package provider

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// configure runs Configure with the attributes. Missing attributes are null.
func configure(t *testing.T, attributes map[string]any) provider.ConfigureResponse {
	t.Helper()
	p := New("1.2.3")()
	var schema provider.SchemaResponse
	p.Schema(t.Context(), provider.SchemaRequest{}, &schema)
	typ := schema.Schema.Type().TerraformType(t.Context()).(tftypes.Object)
	values := map[string]tftypes.Value{}
	for name, at := range typ.AttributeTypes {
		values[name] = tftypes.NewValue(at, attributes[name])
	}
	var resp provider.ConfigureResponse
	p.Configure(t.Context(), provider.ConfigureRequest{TerraformVersion: "1.11.4",
		Config: tfsdk.Config{Schema: schema.Schema, Raw: tftypes.NewValue(typ, values)}}, &resp)
	return resp
}

const someOrganization = "org_01m8m8h5qme4gb37dssfpyj8pd"

// The request that the API receives shows which value has precedence.
func TestConfigurePrecedence(t *testing.T) {
	token := func(c string) string { return "dcv_" + strings.Repeat(c, 36) }
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("\ufeff"+token("f")+"\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	type seen struct{ server, authorization, agent string }
	var got seen
	serve := func(name string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got = seen{name, r.Header.Get("Authorization"), r.Header.Get("User-Agent")}
			w.Header().Set("DCVaaS-API", "1")
			w.Header().Set("DCVaaS-Organization", someOrganization)
			w.WriteHeader(http.StatusTeapot)
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	byAttribute, byEnvironment := serve("attribute"), serve("environment")

	for name, c := range map[string]struct {
		attributes       map[string]any
		endpoint, envTok string
		server, token    string
	}{
		"attributes win": {map[string]any{"endpoint": byAttribute, "api_token": token("a"),
			"api_token_file": file}, byEnvironment, token("e"), "attribute", token("a")},
		"environment": {nil, byEnvironment, token("e"), "environment", token("e")},
		"file before environment": {map[string]any{"endpoint": byAttribute, "api_token_file": file},
			byEnvironment, token("e"), "attribute", token("f")},
		"file": {map[string]any{"endpoint": byAttribute, "api_token_file": file},
			byEnvironment, "", "attribute", token("f")},
		"mixed sources": {map[string]any{"api_token": token("a")}, byEnvironment, "",
			"environment", token("a")},
		"guarded": {map[string]any{"organization_id": someOrganization}, byEnvironment, token("e"),
			"environment", token("e")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(envEndpoint, c.endpoint)
			t.Setenv(envAPIToken, c.envTok)
			resp := configure(t, c.attributes)
			if resp.Diagnostics.HasError() {
				t.Fatalf("Configure returns %v, want no diagnostics", resp.Diagnostics)
			}
			if want := (seen{c.server, "Bearer " + c.token,
				"terraform-provider-dcvaas/1.2.3 Terraform/1.11.4"}); got != want {
				t.Errorf("the API received %v, want %v", got, want)
			}
		})
	}
}

func TestConfigureErrors(t *testing.T) {
	good := "dcv_" + strings.Repeat("a", 36)
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	mistyped := filepath.Join(t.TempDir(), "mistyped")
	if err := os.WriteFile(mistyped, []byte("dcv_a dcv_b"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		attributes map[string]any
		at         path.Path
		want       string
	}{
		"no endpoint": {map[string]any{"api_token": good}, path.Root("endpoint"), envEndpoint},
		"no token": {map[string]any{"endpoint": "https://x.example.com"},
			path.Root("api_token"), envAPIToken},
		"missing file": {map[string]any{"endpoint": "https://x.example.com",
			"api_token_file": empty + "x"}, path.Root("api_token_file"), "no such file"},
		"empty file": {map[string]any{"endpoint": "https://x.example.com",
			"api_token_file": empty}, path.Root("api_token_file"), "is empty"},
		"unencrypted": {map[string]any{"endpoint": "http://x.example.com", "api_token": good},
			path.Root("endpoint"), "use https"},
		"no URL": {map[string]any{"endpoint": "x.example.com", "api_token": good},
			path.Root("endpoint"), "is not a URL"},
		"unknown endpoint": {map[string]any{"endpoint": tftypes.UnknownValue, "api_token": good},
			path.Root("endpoint"), "known only after apply"},
		"unknown token": {map[string]any{"endpoint": "https://x.example.com",
			"api_token": tftypes.UnknownValue}, path.Root("api_token"), "known only after apply"},
		"unknown file": {map[string]any{"endpoint": "https://x.example.com",
			"api_token_file": tftypes.UnknownValue}, path.Root("api_token_file"),
			"known only after apply"},
		"unknown retries": {map[string]any{"endpoint": "https://x.example.com", "api_token": good,
			"max_retries": tftypes.UnknownValue}, path.Root("max_retries"),
			"known only after apply"},
		"empty endpoint": {map[string]any{"endpoint": "", "api_token": good},
			path.Root("endpoint"), "endpoint is an empty string"},
		"empty token": {map[string]any{"endpoint": "https://x.example.com", "api_token": ""},
			path.Root("api_token"), "api_token is an empty string"},
		"empty file name": {map[string]any{"endpoint": "https://x.example.com",
			"api_token_file": ""}, path.Root("api_token_file"), "api_token_file is an empty string"},
		"empty organization": {map[string]any{"endpoint": "https://x.example.com",
			"api_token": good, "organization_id": ""}, path.Root("organization_id"),
			"organization_id is an empty string"},
		"unknown organization": {map[string]any{"endpoint": "https://x.example.com",
			"api_token": good, "organization_id": tftypes.UnknownValue},
			path.Root("organization_id"), "known only after apply"},
		"a mistyped token in a file": {map[string]any{"endpoint": "https://x.example.com",
			"api_token_file": mistyped}, path.Root("api_token_file"),
			"The value is from the file " + mistyped},
		"a mistyped token": {map[string]any{"endpoint": "https://x.example.com",
			"api_token": "dcv_a b"}, path.Root("api_token"), "white space"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(envEndpoint, "")
			t.Setenv(envAPIToken, "")
			if strings.HasPrefix(name, "unknown") || strings.HasPrefix(name, "empty") {
				// the environment is not a fallback
				t.Setenv(envEndpoint, "https://env.example.com")
				t.Setenv(envAPIToken, good)
			}
			resp := configure(t, c.attributes)
			if len(resp.Diagnostics) != 1 ||
				!strings.Contains(resp.Diagnostics[0].Detail(), c.want) {
				t.Fatalf("Configure returns %v, want one error", resp.Diagnostics)
			}
			d, ok := resp.Diagnostics[0].(interface{ Path() path.Path })
			if !ok || !d.Path().Equal(c.at) {
				t.Errorf("the error is not at %s: %v", c.at, resp.Diagnostics[0])
			}
			if resp.ResourceData != nil || strings.Contains(resp.Diagnostics[0].Detail(), "dcv_") {
				t.Errorf("Configure returns %v, want an error without the token and no configuration", resp.Diagnostics)
			}
		})
	}
}

// Configure judges the API by the headers of one response. Only an API that is unreachable or
// unavailable is left to the first call.
func TestConfigureIdentifies(t *testing.T) {
	const other = "org_01m8m8h5qme4gb37dssfpyj8pz"
	token := "dcv_" + strings.Repeat("a", 36)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	api := func(status int, code, organization string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("DCVaaS-API", "1")
			if organization != "" {
				w.Header().Set("DCVaaS-Organization", organization)
			}
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(status)
			_, _ = fmt.Fprintf(w, `{"code":%q,"title":"t","request_id":"r"}`, code)
		}
	}
	for name, c := range map[string]struct {
		api        http.HandlerFunc
		attributes map[string]any
		at         string // "": no error
		want       string
	}{
		"a token without the scope": {api(403, "scope-missing", other), nil, "", ""},
		"an unavailable API":        {api(503, "internal", ""), nil, "", ""},
		"another organization": {api(200, "", other),
			map[string]any{"organization_id": someOrganization}, "organization_id",
			"The API token from the attribute api_token belongs to the organization " + other},
		"a rejected token": {api(401, "token-expired", ""), nil, "api_token",
			"from the attribute api_token,"},
		"a rejected token in a file": {api(401, "token-expired", ""),
			map[string]any{"api_token_file": file, "api_token": nil}, "api_token_file",
			"from the file " + file},
		"a wrong path": {api(404, "no-such-path", ""), nil, "endpoint", "without /api"},
		"a page": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("<html>hello</html>"))
		}, nil, "endpoint", "returned 200 OK with text/html"},
		"a gateway": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"code":"404"}`))
		}, nil, "endpoint", "without the header DCVaaS-API"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(c.api)
			t.Cleanup(s.Close)
			attributes := map[string]any{"endpoint": s.URL, "api_token": token, "max_retries": 0}
			maps.Copy(attributes, c.attributes)
			resp := configure(t, attributes)
			if c.at == "" {
				if resp.Diagnostics.HasError() || resp.ResourceData == nil {
					t.Errorf("Configure returns %v, want no error", resp.Diagnostics)
				}
				return
			}
			if len(resp.Diagnostics) != 1 || resp.ResourceData != nil ||
				!strings.Contains(resp.Diagnostics[0].Detail(), c.want) {
				t.Fatalf("Configure returns %v, want one error with %q", resp.Diagnostics, c.want)
			}
			d, ok := resp.Diagnostics[0].(interface{ Path() path.Path })
			if !ok || !d.Path().Equal(path.Root(c.at)) {
				t.Errorf("the error is not at %s: %v", c.at, resp.Diagnostics[0])
			}
		})
	}

	unreachable := httptest.NewServer(http.NotFoundHandler())
	unreachable.Close()
	resp := configure(t, map[string]any{"endpoint": unreachable.URL, "api_token": token,
		"max_retries": 0})
	if resp.Diagnostics.HasError() || resp.ResourceData == nil {
		t.Errorf("Configure for an unreachable API returns %v, want no error", resp.Diagnostics)
	}
}
