package main

import (
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// The format is that of Terraform's command
// (https://developer.hashicorp.com/terraform/cli/commands/providers/schema), as far as this
// provider uses it: it has no nested blocks.
type (
	document struct {
		FormatVersion string                    `json:"format_version"`
		Schemas       map[string]providerSchema `json:"provider_schemas"`
	}
	providerSchema struct {
		Provider           schema              `json:"provider"`
		Resources          map[string]schema   `json:"resource_schemas"`
		DataSources        map[string]schema   `json:"data_source_schemas"`
		EphemeralResources map[string]schema   `json:"ephemeral_resource_schemas"`
		ListResources      map[string]schema   `json:"list_resource_schemas"`
		Actions            map[string]schema   `json:"action_schemas"`
		Functions          map[string]function `json:"functions"`
		Identities         map[string]identity `json:"resource_identity_schemas"`
	}
	schema struct {
		Version int64 `json:"version"`
		Block   block `json:"block"`
	}
	block struct {
		described
		Attributes map[string]attribute `json:"attributes,omitempty"`
	}
	described struct {
		Description string `json:"description,omitempty"`
		Kind        string `json:"description_kind,omitempty"`
		Deprecated  bool   `json:"deprecated,omitempty"`
	}
	attribute struct {
		described
		Type      tftypes.Type `json:"type,omitempty"`
		Nested    *nested      `json:"nested_type,omitempty"`
		Required  bool         `json:"required,omitempty"`
		Optional  bool         `json:"optional,omitempty"`
		Computed  bool         `json:"computed,omitempty"`
		Sensitive bool         `json:"sensitive,omitempty"`
		WriteOnly bool         `json:"write_only,omitempty"`
	}
	nested struct {
		Attributes map[string]attribute `json:"attributes"`
		Mode       string               `json:"nesting_mode"`
	}
	function struct {
		Description string       `json:"description,omitempty"`
		Summary     string       `json:"summary,omitempty"`
		Deprecation string       `json:"deprecation_message,omitempty"`
		Return      tftypes.Type `json:"return_type"`
		Parameters  []parameter  `json:"parameters,omitempty"`
		Variadic    *parameter   `json:"variadic_parameter,omitempty"`
	}
	parameter struct {
		Name        string       `json:"name"`
		Description string       `json:"description,omitempty"`
		Nullable    bool         `json:"is_nullable,omitempty"`
		Type        tftypes.Type `json:"type"`
	}
	identity struct {
		Version    int64                        `json:"version"`
		Attributes map[string]identityAttribute `json:"attributes"`
	}
	identityAttribute struct {
		Type        tftypes.Type `json:"type"`
		Description string       `json:"description,omitempty"`
		Required    bool         `json:"required_for_import,omitempty"`
		Optional    bool         `json:"optional_for_import,omitempty"`
	}
)

func newSchema(s *tfprotov6.Schema) schema {
	return schema{Version: s.Version, Block: block{
		described: described{s.Block.Description, kind(s.Block.DescriptionKind),
			s.Block.Deprecated},
		Attributes: newAttributes(s.Block.Attributes),
	}}
}

func newAttributes(in []*tfprotov6.SchemaAttribute) map[string]attribute {
	out := make(map[string]attribute, len(in))
	for _, a := range in {
		v := attribute{described: described{a.Description, kind(a.DescriptionKind), a.Deprecated},
			Type: a.Type, Required: a.Required, Optional: a.Optional, Computed: a.Computed,
			Sensitive: a.Sensitive, WriteOnly: a.WriteOnly}
		if a.NestedType != nil {
			v.Nested = &nested{newAttributes(a.NestedType.Attributes),
				strings.ToLower(a.NestedType.Nesting.String())}
		}
		out[a.Name] = v
	}
	return out
}

func newFunction(f *tfprotov6.Function) function {
	out := function{Description: f.Description, Summary: f.Summary,
		Deprecation: f.DeprecationMessage, Return: f.Return.Type}
	for _, p := range f.Parameters {
		out.Parameters = append(out.Parameters, newParameter(p))
	}
	if f.VariadicParameter != nil {
		v := newParameter(f.VariadicParameter)
		out.Variadic = &v
	}
	return out
}

func newParameter(p *tfprotov6.FunctionParameter) parameter {
	return parameter{Name: p.Name, Description: p.Description, Nullable: p.AllowNullValue,
		Type: p.Type}
}

func newIdentity(s *tfprotov6.ResourceIdentitySchema) identity {
	out := identity{Version: s.Version, Attributes: make(map[string]identityAttribute,
		len(s.IdentityAttributes))}
	for _, a := range s.IdentityAttributes {
		out.Attributes[a.Name] = identityAttribute{a.Type, a.Description, a.RequiredForImport,
			a.OptionalForImport}
	}
	return out
}

func kind(k tfprotov6.StringKind) string { return strings.ToLower(k.String()) }
