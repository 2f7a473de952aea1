package provider

import (
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

// The request that the API receives shows which value has precedence.
func TestConfigurePrecedence(t *testing.T) {
	token := func(c string) string { return "dcv_" + strings.Repeat(c, 36) }
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token("f")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	type seen struct{ server, authorization, agent string }
	var got seen
	serve := func(name string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got = seen{name, r.Header.Get("Authorization"), r.Header.Get("User-Agent")}
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
		"environment before file": {map[string]any{"api_token_file": file}, byEnvironment,
			token("e"), "environment", token("e")},
		"file": {map[string]any{"endpoint": byAttribute, "api_token_file": file},
			byEnvironment, "", "attribute", token("f")},
		"mixed sources": {map[string]any{"api_token": token("a")}, byEnvironment, "",
			"environment", token("a")},
		"empty is unset": {map[string]any{"endpoint": "", "api_token": ""}, byEnvironment,
			token("e"), "environment", token("e")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(envEndpoint, c.endpoint)
			t.Setenv(envAPIToken, c.envTok)
			resp := configure(t, c.attributes)
			if resp.Diagnostics.HasError() {
				t.Fatalf("Configure returns %v, want no diagnostics", resp.Diagnostics)
			}
			_, _ = resp.ResourceData.(*configured).client.Domain(t.Context(), "example.com")
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
		"a mistyped token": {map[string]any{"endpoint": "https://x.example.com",
			"api_token": "dcv_a b"}, path.Root("api_token"), "white space"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(envEndpoint, "")
			t.Setenv(envAPIToken, "")
			if strings.HasPrefix(name, "unknown") { // the environment is not a fallback
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
