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

// movable are the resources of other providers that a moved block can convert to a domain: provider
// type to resource type.
var movable = map[string]string{"acme": "acme_certificate", "aws": "aws_acm_certificate"}

// MoveState adopts the name of another provider's certificate, and nothing else: the domain has no
// ID until the next read finds it. The other provider's certificate is neither revoked nor deleted.
func (r *domainResource) MoveState(context.Context) []resource.StateMover {
	return []resource.StateMover{{StateMover: moveCertificate}}
}

// otherCertificate contains the names in the states of both resources.
type otherCertificate struct {
	CommonName string   `json:"common_name"` // acme
	DomainName string   `json:"domain_name"` // aws
	Names      []string `json:"subject_alternative_names"`
}

func moveCertificate(
	ctx context.Context, req resource.MoveStateRequest, resp *resource.MoveStateResponse,
) {
	if movable[path.Base(req.SourceProviderAddress)] != req.SourceTypeName {
		return // the framework reports an unsupported move
	}
	var c otherCertificate
	if err := json.Unmarshal(req.SourceRawState.JSON, &c); err != nil {
		resp.Diagnostics.AddError("Cannot move the "+req.SourceTypeName, "Its state is malformed. "+
			sentence(err.Error()))
		return
	}
	name, wildcard, err := c.domain()
	if err != nil {
		resp.Diagnostics.AddError("Cannot move the "+req.SourceTypeName, sentence(err.Error()))
		return
	}
	m := domainModel{Labels: types.MapNull(types.StringType),
		Delegation: types.ObjectNull(delegationTypes)}
	m.Name, m.Wildcard = types.StringValue(name), types.BoolValue(wildcard)
	resp.Diagnostics.Append(resp.TargetState.Set(ctx, m)...)
}

// domain returns the domain whose certificate covers all names.
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
			return "", false,
				fmt.Errorf("the certificate covers %s and %s, but a dcvaas_domain covers one name and its wildcard: "+
					"remove it from the state with a removed block, and add a dcvaas_domain for each name", name, base)
		}
		wildcard = wildcard || wild
	}
	if name == "" {
		return "", false, fmt.Errorf("the certificate's state has no name")
	}
	return name, wildcard, nil
}
