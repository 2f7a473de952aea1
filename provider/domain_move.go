package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

var _ resource.ResourceWithMoveState = (*domainResource)(nil)

// movable are the resources of other providers that a `moved` block may turn into a domain: the provider's type to the
// resource's.
var movable = map[string]string{"acme": "acme_certificate", "aws": "aws_acm_certificate"}

// MoveState takes over the name of another provider's certificate, and nothing else of it: the domain has no id until the
// next read has looked for it. What the other provider holds stays as it is, neither revoked nor deleted.
func (r *domainResource) MoveState(context.Context) []resource.StateMover {
	return []resource.StateMover{{StateMover: moveCertificate}}
}

// otherCertificate is what the two have in their states.
type otherCertificate struct {
	CommonName string   `json:"common_name"` // acme
	DomainName string   `json:"domain_name"` // aws
	Names      []string `json:"subject_alternative_names"`
}

func moveCertificate(ctx context.Context, req resource.MoveStateRequest, resp *resource.MoveStateResponse) {
	if movable[path.Base(req.SourceProviderAddress)] != req.SourceTypeName {
		return // the framework says that this cannot be moved
	}
	var c otherCertificate
	if err := json.Unmarshal(req.SourceRawState.JSON, &c); err != nil {
		resp.Diagnostics.AddError("Cannot move the "+req.SourceTypeName, "Its state is not what it is known to be. "+sentence(err.Error()))
		return
	}
	name, wildcard, err := c.domain()
	if err != nil {
		resp.Diagnostics.AddError("Cannot move the "+req.SourceTypeName, sentence(err.Error()))
		return
	}
	m := domainModel{Labels: types.MapNull(types.StringType), Delegation: types.ObjectNull(delegationTypes)}
	m.Name, m.Wildcard = types.StringValue(name), types.BoolValue(wildcard)
	resp.Diagnostics.Append(resp.TargetState.Set(ctx, m)...)
}

// domain returns the one domain whose certificate covers every name.
func (c *otherCertificate) domain() (name string, wildcard bool, err error) {
	for _, n := range slices.Concat([]string{c.CommonName, c.DomainName}, c.Names) {
		if n == "" {
			continue
		}
		base, wild := strings.CutPrefix(n, "*.")
		if name == "" {
			name = base
		}
		if !sameName(base, name) {
			return "", false, fmt.Errorf("the certificate is for %s and for %s, but a dcvaas_domain is for one name and what is right below it: "+
				"take it out of the state by a removed block, and add a dcvaas_domain for each name", name, base)
		}
		wildcard = wildcard || wild
	}
	if name == "" {
		return "", false, fmt.Errorf("the certificate's state has no name")
	}
	return name, wildcard, nil
}
