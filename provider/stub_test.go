package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	dschema "github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	framework "github.com/hashicorp/terraform-plugin-framework/provider"
	pschema "github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	rschema "github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// stubTypes are the types of other providers that the documents use, with the attributes that they
// use. Each attribute is a name and its kind: R required, O optional, C computed, W write-only.
// With n, it is a number, with b a Boolean, with l a list, with s a set, and otherwise a string.
var stubTypes = map[string]map[string]string{
	"hashicorp/aws": {
		"aws_route53_zone":          "name:R zone_id:C",
		"aws_route53_record":        "zone_id:R name:R type:R ttl:On records:Os fqdn:C",
		"aws_acm_certificate":       "domain_name:R subject_alternative_names:Os validation_method:O arn:C",
		"aws_secretsmanager_secret": "name:R arn:C",
		"aws_secretsmanager_secret_version": "secret_id:R secret_string_wo:W " +
			"secret_string_wo_version:On",
		"data.aws_route53_zone": "name:R zone_id:C",
	},
	"cloudflare/cloudflare": {
		"cloudflare_dns_record": "zone_id:R name:R type:R ttl:Rn content:R proxied:Ob",
	},
	"hashicorp/google": {
		"google_dns_record_set":        "managed_zone:R name:R type:R ttl:On rrdatas:Ol",
		"data.google_dns_managed_zone": "name:R",
	},
	"vancluever/acme": {
		"acme_certificate": "account_key_pem:R common_name:R subject_alternative_names:Os",
	},
	"hashicorp/vault": {
		"vault_kv_secret_v2": "mount:R name:R data_json_wo:W data_json_wo_version:On",
	},
}

// stubs are the other providers of one test. They create the DNS records in the playground.
type stubs struct {
	playground string
	reattach   string // TF_REATTACH_PROVIDERS

	mu        sync.Mutex
	destroyed []string // types and names of what was destroyed
	secrets   []string // write-only values that were written
}

// startStubs serves the providers until the end of the test.
func startStubs(t *testing.T, playground string) *stubs {
	t.Helper()
	s := &stubs{playground: playground}
	type address struct{ Network, String string }
	type process struct {
		Protocol        string
		ProtocolVersion int
		Pid             int
		Test            bool
		Addr            address
	}
	running := map[string]process{}
	for name := range stubTypes {
		ctx, cancel := context.WithCancel(context.Background())
		configs, done := make(chan *plugin.ReattachConfig), make(chan struct{})
		factory := providerserver.NewProtocol6(&stubProvider{stubs: s, name: name})
		go func() {
			_ = tf6server.Serve("registry.terraform.io/"+name, func() tfprotov6.ProviderServer {
				return factory()
			}, tf6server.WithDebug(ctx, configs, done), tf6server.WithLoggingSink(t),
				tf6server.WithGoPluginLogger(hclog.NewNullLogger()))
		}()
		t.Cleanup(func() {
			cancel()
			<-done
		})
		c := <-configs
		running["registry.terraform.io/"+name] = process{Protocol: string(c.Protocol),
			ProtocolVersion: c.ProtocolVersion, Pid: c.Pid, Test: c.Test,
			Addr: address{c.Addr.Network(), c.Addr.String()}}
	}
	b, err := json.Marshal(running)
	if err != nil {
		t.Fatal(err)
	}
	s.reattach = string(b)
	return s
}

// taken returns what was destroyed since the last call.
func (s *stubs) taken() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.destroyed
	s.destroyed = nil
	return out
}

// written returns the write-only values that were written since the last call.
func (s *stubs) written() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.secrets
	s.secrets = nil
	return out
}

type stubProvider struct {
	stubs *stubs
	name  string
}

func (p *stubProvider) Metadata(
	_ context.Context, _ framework.MetadataRequest, resp *framework.MetadataResponse,
) {
	resp.TypeName = p.name[strings.LastIndex(p.name, "/")+1:]
}

func (p *stubProvider) Schema(
	_ context.Context, _ framework.SchemaRequest, resp *framework.SchemaResponse,
) {
	resp.Schema = pschema.Schema{}
}

func (p *stubProvider) Configure(
	context.Context, framework.ConfigureRequest, *framework.ConfigureResponse,
) {
}

func (p *stubProvider) Resources(context.Context) []func() resource.Resource {
	var out []func() resource.Resource
	for name, attributes := range stubTypes[p.name] {
		if !strings.HasPrefix(name, "data.") {
			out = append(out, func() resource.Resource {
				return &stubResource{p.stubs, name, attributes}
			})
		}
	}
	return out
}

func (p *stubProvider) DataSources(context.Context) []func() datasource.DataSource {
	var out []func() datasource.DataSource
	for name, attributes := range stubTypes[p.name] {
		if name, ok := strings.CutPrefix(name, "data."); ok {
			out = append(out, func() datasource.DataSource {
				return &stubDataSource{name, attributes}
			})
		}
	}
	return out
}

// stubResource is a resource whose state is its plan.
type stubResource struct {
	stubs            *stubs
	name, attributes string
}

func (r *stubResource) Metadata(
	_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse,
) {
	resp.TypeName = r.name
}

func (r *stubResource) Schema(
	_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse,
) {
	all := map[string]rschema.Attribute{}
	for _, a := range strings.Fields(r.attributes) {
		name, kind, _ := strings.Cut(a, ":")
		req, opt, comp, write := kind[0] == 'R', kind[0] == 'O' || kind[0] == 'W', kind[0] == 'C',
			kind[0] == 'W'
		switch kind[1:] {
		case "n":
			all[name] = rschema.Int64Attribute{Required: req, Optional: opt, Computed: comp}
		case "b":
			all[name] = rschema.BoolAttribute{Required: req, Optional: opt, Computed: comp}
		case "l":
			all[name] = rschema.ListAttribute{Required: req, Optional: opt, Computed: comp,
				ElementType: types.StringType}
		case "s":
			all[name] = rschema.SetAttribute{Required: req, Optional: opt, Computed: comp,
				ElementType: types.StringType}
		default:
			all[name] = rschema.StringAttribute{Required: req, Optional: opt, Computed: comp,
				WriteOnly: write}
		}
	}
	all["id"] = rschema.StringAttribute{Computed: true}
	resp.Schema = rschema.Schema{Attributes: all}
}

func (r *stubResource) Create(
	ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse,
) {
	raw, values := filled(r.name, req.Plan.Raw)
	resp.State.Raw = raw
	r.write(req.Config.Raw)
	if err := r.record(ctx, http.MethodPut, values); err != nil {
		resp.Diagnostics.AddError("stub", err.Error())
	}
}

func (r *stubResource) Read(
	_ context.Context, req resource.ReadRequest, resp *resource.ReadResponse,
) {
	resp.State.Raw = req.State.Raw
}

func (r *stubResource) Update(
	ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse,
) {
	var values map[string]any
	resp.State.Raw, values = filled(r.name, req.Plan.Raw)
	r.write(req.Config.Raw)
	if err := r.record(ctx, http.MethodPut, values); err != nil {
		resp.Diagnostics.AddError("stub", err.Error())
	}
}

func (r *stubResource) Delete(
	ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse,
) {
	_, values := filled(r.name, req.State.Raw)
	r.stubs.mu.Lock()
	r.stubs.destroyed = append(r.stubs.destroyed, fmt.Sprint(r.name, " ", values["name"]))
	r.stubs.mu.Unlock()
	if err := r.record(ctx, http.MethodDelete, values); err != nil {
		resp.Diagnostics.AddError("stub", err.Error())
	}
}

// write keeps the write-only values of a configuration.
func (r *stubResource) write(config tftypes.Value) {
	_, values := filled(r.name, config)
	for _, a := range strings.Fields(r.attributes) {
		name, kind, _ := strings.Cut(a, ":")
		if v, ok := values[name].(string); ok && kind == "W" {
			r.stubs.mu.Lock()
			r.stubs.secrets = append(r.stubs.secrets, v)
			r.stubs.mu.Unlock()
		}
	}
}

// record sets or removes the record of a DNS resource in the playground.
func (r *stubResource) record(ctx context.Context, method string, values map[string]any) error {
	var targets []string
	switch {
	case values["type"] == nil:
		return nil
	case values["content"] != nil:
		targets = []string{values["content"].(string)}
	default:
		for _, name := range []string{"records", "rrdatas"} {
			if list, ok := values[name].([]string); ok {
				targets = append(targets, list...)
			}
		}
	}
	name := strings.TrimSuffix(values["name"].(string), ".")
	url, body := r.stubs.playground+"/records", ""
	if method == http.MethodDelete {
		url += "?name=" + name + "&type=CNAME"
	} else {
		b, err := json.Marshal(map[string]any{"name": name, "type": values["type"], "ttl": 1,
			"values": []string{strings.TrimSuffix(targets[0], ".")}})
		if err != nil {
			return err
		}
		body = string(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= 300 && resp.StatusCode != http.StatusNotFound {
		return fmt.Errorf("%s %s: %s", method, url, resp.Status)
	}
	return nil
}

type stubDataSource struct{ name, attributes string }

func (d *stubDataSource) Metadata(
	_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse,
) {
	resp.TypeName = d.name
}

func (d *stubDataSource) Schema(
	_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse,
) {
	all := map[string]dschema.Attribute{"id": dschema.StringAttribute{Computed: true}}
	for _, a := range strings.Fields(d.attributes) {
		name, kind, _ := strings.Cut(a, ":")
		all[name] = dschema.StringAttribute{Required: kind == "R", Computed: kind == "C"}
	}
	resp.Schema = dschema.Schema{Attributes: all}
}

func (d *stubDataSource) Read(
	_ context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse,
) {
	raw := req.Config.Raw
	names := []string{"id"}
	for _, a := range strings.Fields(d.attributes) {
		if name, kind, _ := strings.Cut(a, ":"); kind == "C" {
			names = append(names, name)
		}
	}
	values := map[string]tftypes.Value{}
	_ = raw.As(&values)
	for _, name := range names {
		values[name] = tftypes.NewValue(tftypes.String, "stub-"+name)
	}
	resp.State.Raw = tftypes.NewValue(raw.Type(), values)
}

// filled returns a value with something in place of what is unknown, and its attributes in Go: the
// fqdn of a record is its name.
func filled(typ string, raw tftypes.Value) (tftypes.Value, map[string]any) {
	attributes := map[string]tftypes.Value{}
	_ = raw.As(&attributes)
	values := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		v := attributes[name]
		if !v.IsKnown() {
			text := "stub-" + typ + "-" + name
			if name == "fqdn" {
				_ = attributes["name"].As(&text)
			}
			v = tftypes.NewValue(tftypes.String, text)
			attributes[name] = v
		}
		var text string
		var list []tftypes.Value
		switch {
		case v.IsNull():
		case v.Type().Is(tftypes.String) && v.As(&text) == nil:
			values[name] = text
		case v.As(&list) == nil:
			var all []string
			for _, e := range list {
				if e.As(&text) == nil {
					all = append(all, text)
				}
			}
			values[name] = all
		}
	}
	return tftypes.NewValue(raw.Type(), attributes), values
}
