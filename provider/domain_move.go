package provider

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

var _ resource.ResourceWithMoveState = (*domainResource)(nil)

// movable are the resources of other providers that a moved block can convert to a domain: provider
// type to resource type.
var movable = map[string]string{"acme": "acme_certificate", "aws": "aws_acm_certificate"}

// MoveState adopts the names of another provider's certificate, and nothing else: the domain has no
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
	m, err := c.domain()
	if err != nil {
		resp.Diagnostics.AddError("Cannot move the "+req.SourceTypeName, sentence(err.Error()))
		return
	}
	resp.Diagnostics.Append(resp.TargetState.Set(ctx, m)...)
}

// domain returns the domain with the certificate's names. The first of them that is set is that of
// the domain, without its wildcard.
func (c *otherCertificate) domain() (m domainModel, err error) {
	m = domainModel{Labels: types.MapNull(types.StringType),
		Delegation: types.ObjectNull(delegationTypes), Delegations: types.MapNull(delegationType)}
	own, wildcard := "", false
	var further []string
	for _, n := range slices.Concat([]string{c.CommonName, c.DomainName}, c.Names) {
		if n == "" {
			continue
		}
		one := cmp.Or(canonicalAdditional(n), n)
		base := rules.BaseName(one)
		if own == "" {
			own = base
		}
		switch {
		case base == own:
			wildcard = wildcard || one != base
		case !slices.Contains(further, one):
			further = append(further, one)
		}
	}
	if own == "" {
		return m, fmt.Errorf("the certificate's state has no name")
	}
	m.Name, m.Wildcard = types.StringValue(own), types.BoolValue(wildcard)
	m.AdditionalNames = namesFromAPI(further, types.SetNull(types.StringType))
	return m, nil
}
