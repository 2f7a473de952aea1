package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	fw "github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
)

// otherProvider is a provider with one type of certificate. It counts destroyed certificates.
type otherProvider struct {
	name, kind string
	destroyed  atomic.Int64
}

func (p *otherProvider) Metadata(
	_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse,
) {
	resp.TypeName = p.name
}
func (p *otherProvider) Schema(context.Context, provider.SchemaRequest, *provider.SchemaResponse) {}
func (p *otherProvider) Configure(
	context.Context, provider.ConfigureRequest, *provider.ConfigureResponse,
) {
}
func (p *otherProvider) DataSources(context.Context) []func() datasource.DataSource { return nil }
func (p *otherProvider) Resources(context.Context) []func() fw.Resource {
	return []func() fw.Resource{func() fw.Resource { return &otherCertificateResource{p} }}
}

type otherCertificateResource struct{ provider *otherProvider }

func (r *otherCertificateResource) Metadata(
	_ context.Context, _ fw.MetadataRequest, resp *fw.MetadataResponse,
) {
	resp.TypeName = r.provider.kind
}

func (r *otherCertificateResource) Schema(
	_ context.Context, _ fw.SchemaRequest, resp *fw.SchemaResponse,
) {
	text := schema.StringAttribute{Optional: true}
	resp.Schema = schema.Schema{Attributes: map[string]schema.Attribute{
		"common_name": text, "domain_name": text, "private_key_pem": text,
		"subject_alternative_names": schema.SetAttribute{ElementType: types.StringType,
			Optional: true},
	}}
}

func (r *otherCertificateResource) Create(
	_ context.Context, req fw.CreateRequest, resp *fw.CreateResponse,
) {
	resp.State.Raw = req.Plan.Raw
}
func (r *otherCertificateResource) Read(context.Context, fw.ReadRequest, *fw.ReadResponse) {}
func (r *otherCertificateResource) Update(
	_ context.Context, req fw.UpdateRequest, resp *fw.UpdateResponse,
) {
	resp.State.Raw = req.Plan.Raw
}
func (r *otherCertificateResource) Delete(context.Context, fw.DeleteRequest, *fw.DeleteResponse) {
	r.provider.destroyed.Add(1)
}

// A certificate of another provider becomes a domain, new or existing, and is not destroyed.
func TestAccDomain_movedFromOtherProviders(t *testing.T) {
	for _, c := range []struct{ provider, kind, attribute, prefix string }{
		{"acme", "acme_certificate", "common_name", ""},
		{"aws", "aws_acm_certificate", "domain_name", "*."},
	} {
		for _, exists := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%t", c.provider, exists), func(t *testing.T) {
				a := newAcc(t)
				name, further := a.domain(), a.domain()
				other := &otherProvider{name: c.provider, kind: c.kind}
				factories := a.factories()
				factories[c.provider] = func() (tfprotov6.ProviderServer, error) {
					return providerserver.NewProtocol6WithError(other)()
				}
				expected := plancheck.ResourceActionCreate
				if exists {
					expected = plancheck.ResourceActionUpdate
				}
				after := a.config(`moved {
  from = %s.test
  to   = dcvaas_domain.test
}

resource "dcvaas_domain" "test" {
  name             = %q
  wildcard         = true
  additional_names = [%q]
}`, c.kind, name, further)
				checks := []statecheck.StateCheck{state("name", knownvalue.StringExact(name)),
					state("wildcard", knownvalue.Bool(true)),
					state("additional_names", knownvalue.SetExact([]knownvalue.Check{
						knownvalue.StringExact(further)})),
					state("id", knownvalue.StringRegexp(domainIDText))}
				resource.Test(t, resource.TestCase{
					ProtoV6ProviderFactories: factories,
					CheckDestroy:             a.checkDestroy,
					Steps: []resource.TestStep{
						{Config: a.config(`resource %q "test" {
  %s                        = %q
  private_key_pem           = "kept until it is moved"
  subject_alternative_names = [%q, %q, %q]
}`, c.kind, c.attribute, c.prefix+name, name, further, "*."+strings.ToUpper(name))},
						{
							PreConfig: func() {
								if exists {
									a.added(name)
								}
							},
							Config: after, ConfigPlanChecks: pre(planned(expected)),
							ConfigStateChecks: checks,
						},
					},
				})
				if n := other.destroyed.Load(); n != 0 {
					t.Errorf("the other provider destroyed %d certificates, want 0", n)
				}
			})
		}
	}
}

// A certificate becomes a domain with all of its names. Malformed states are rejected with a fix,
// and other resources are not accepted.
func TestMoveState(t *testing.T) {
	for name, c := range map[string]struct {
		provider, kind string
		state          map[string]any
		want, wrong    string
		wildcard       bool
		additional     string
	}{
		"acme": {"registry.terraform.io/vancluever/acme",
			"acme_certificate", map[string]any{"common_name": "example.com"}, "example.com",
			"", false, ""},
		"without CN": {"registry.opentofu.org/vancluever/acme",
			"acme_certificate", map[string]any{"common_name": nil,
				"subject_alternative_names": []string{"*.example.com"}}, "example.com", "", true, ""},
		"aws": {"registry.terraform.io/hashicorp/aws",
			"aws_acm_certificate", map[string]any{"domain_name": "*.example.com",
				"subject_alternative_names": []string{"Example.com."}}, "example.com", "", true, ""},
		"several names": {"registry.terraform.io/hashicorp/aws",
			"aws_acm_certificate", map[string]any{"domain_name": "example.com",
				"subject_alternative_names": []string{"example.com", "WWW.example.com",
					"*.example.net", "www.example.com.", "*.example.com", "Bücher.example"}},
			"example.com", "", true, "*.example.net www.example.com xn--bcher-kva.example"},
		"no name": {"registry.terraform.io/hashicorp/aws",
			"aws_acm_certificate", map[string]any{"arn": "x"}, "", "has no name", false, ""},
		"another state": {"registry.terraform.io/vancluever/acme",
			"acme_certificate", map[string]any{"common_name": 7}, "", "is malformed", false, ""},
		"another resource": {"registry.terraform.io/vancluever/acme",
			"acme_registration", map[string]any{"common_name": "example.com"}, "",
			"Unable to Move Resource State", false, ""},
		"a mixed-up source": {"registry.terraform.io/hashicorp/aws",
			"acme_certificate", map[string]any{"common_name": "example.com"}, "",
			"Unable to Move Resource State", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRPC(&acc{T: t})
			raw, err := json.Marshal(c.state)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := r.MoveResourceState(t.Context(),
				&tfprotov6.MoveResourceStateRequest{SourceProviderAddress: c.provider,
					SourceTypeName: c.kind,
					SourceState:    &tfprotov6.RawState{JSON: raw},
					TargetTypeName: "dcvaas_domain"})
			if err != nil {
				t.Fatal(err)
			}
			if c.wrong != "" {
				if len(resp.Diagnostics) != 1 ||
					!strings.Contains(resp.Diagnostics[0].Summary+" "+resp.Diagnostics[0].Detail,
						c.wrong) {
					t.Errorf("MoveResourceState returns %v", resp.Diagnostics)
				}
				return
			}
			r.ok(resp.Diagnostics)
			typ := r.schemas.ResourceSchemas["dcvaas_domain"].ValueType()
			if got := r.attribute(resp.TargetState, typ, "name"); got != c.want {
				t.Errorf("MoveResourceState returns the domain %s", got)
			}
			if got := r.flag(resp.TargetState, typ, "wildcard"); got != c.wildcard {
				t.Errorf("MoveResourceState returns wildcard = %t", got)
			}
			var elements []tftypes.Value
			r.read(resp.TargetState, typ, "additional_names", &elements)
			names := make([]string, len(elements))
			for i, e := range elements {
				if err := e.As(&names[i]); err != nil {
					t.Fatal(err)
				}
			}
			slices.Sort(names)
			if got := strings.Join(names, " "); got != c.additional {
				t.Errorf("MoveResourceState returns the additional names %s, want %s", got,
					c.additional)
			}
		})
	}
}
