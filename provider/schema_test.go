package provider

import (
	"context"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/action"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/list"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// Each schema is valid, has a description of each attribute, and matches its model.
func TestSchemasFitModels(t *testing.T) {
	ctx := t.Context()
	type checked interface {
		ValidateImplementation(context.Context) diag.Diagnostics
	}
	sound := func(t *testing.T, s checked) {
		if d := s.ValidateImplementation(ctx); d.HasError() {
			t.Errorf("ValidateImplementation returns %v", d)
		}
	}

	t.Run("provider", func(t *testing.T) {
		var resp provider.SchemaResponse
		New("test")().Schema(ctx, provider.SchemaRequest{}, &resp)
		sound(t, resp.Schema)
		for name, a := range resp.Schema.Attributes {
			if a.GetMarkdownDescription() == "" {
				t.Errorf("%s has no description", name)
			}
		}
		raw := tftypes.NewValue(resp.Schema.Type().TerraformType(ctx), nil)
		var m *providerModel
		if d := (tfsdk.Config{Schema: resp.Schema, Raw: raw}).Get(ctx, &m); d.HasError() {
			t.Errorf("Config.Get returns %v", d)
		}
	})
	for name, c := range map[string]struct {
		r     resource.Resource
		model any
	}{
		"dcvaas_domain":              {&domainResource{}, &domainModel{}},
		"dcvaas_domain_validation":   {&domainValidationResource{}, &domainValidationModel{}},
		"dcvaas_delegation":          {&delegationResource{}, &delegationModel{}},
		"dcvaas_api_token":           {&apiTokenResource{}, &apiTokenModel{}},
		"dcvaas_webhook":             {&webhookResource{}, &webhookModel{}},
		"dcvaas_dns_connection":      {&dnsConnectionResource{}, &dnsConnectionModel{}},
		"dcvaas_acmedns_account":     {&acmednsAccountResource{}, &acmednsAccountModel{}},
		"dcvaas_organization_member": {&memberResource{}, &memberModel{}},
	} {
		t.Run(name, func(t *testing.T) {
			var meta resource.MetadataResponse
			if c.r.Metadata(ctx, resource.MetadataRequest{ProviderTypeName: "dcvaas"},
				&meta); meta.TypeName != name {
				t.Errorf("the type name is %s", meta.TypeName)
			}
			var resp resource.SchemaResponse
			c.r.Schema(ctx, resource.SchemaRequest{}, &resp)
			sound(t, resp.Schema)
			for name, a := range resp.Schema.Attributes {
				if a.GetMarkdownDescription() == "" && name != "timeouts" {
					t.Errorf("%s has no description", name)
				}
			}
			fits(t, tfsdk.State{Schema: resp.Schema,
				Raw: unknownObject(ctx, resp.Schema.Type().TerraformType(ctx))}, c.model)
		})
	}
	for name, c := range map[string]struct {
		d     datasource.DataSource
		model any
	}{
		"dcvaas_domain":       {&domainDataSource{}, &domainDataModel{}},
		"dcvaas_domains":      {&domainsDataSource{}, &domainsModel{}},
		"dcvaas_delegation":   {&delegationDataSource{}, &delegationDataModel{}},
		"dcvaas_certificate":  {&certificateDataSource{}, &certificateModel{}},
		"dcvaas_organization": {&organizationDataSource{}, &organizationModel{}},
	} {
		t.Run("data "+name, func(t *testing.T) {
			var meta datasource.MetadataResponse
			if c.d.Metadata(ctx, datasource.MetadataRequest{ProviderTypeName: "dcvaas"},
				&meta); meta.TypeName != name {
				t.Errorf("the type name is %s", meta.TypeName)
			}
			var resp datasource.SchemaResponse
			c.d.Schema(ctx, datasource.SchemaRequest{}, &resp)
			sound(t, resp.Schema)
			for name, a := range resp.Schema.Attributes {
				if a.GetMarkdownDescription() == "" {
					t.Errorf("%s has no description", name)
				}
			}
			fits(t, tfsdk.State{Schema: resp.Schema,
				Raw: unknownObject(ctx, resp.Schema.Type().TerraformType(ctx))}, c.model)
		})
	}
	for name, c := range map[string]struct {
		e     ephemeral.EphemeralResource
		model any
	}{
		"dcvaas_certificate_key": {&certificateKeyEphemeral{}, &certificateKeyModel{}},
		"dcvaas_api_token":       {&apiTokenEphemeral{}, &apiTokenEphemeralModel{}},
	} {
		t.Run("ephemeral "+name, func(t *testing.T) {
			var meta ephemeral.MetadataResponse
			if c.e.Metadata(ctx, ephemeral.MetadataRequest{ProviderTypeName: "dcvaas"},
				&meta); meta.TypeName != name {
				t.Errorf("the type name is %s", meta.TypeName)
			}
			var resp ephemeral.SchemaResponse
			c.e.Schema(ctx, ephemeral.SchemaRequest{}, &resp)
			sound(t, resp.Schema)
			for name, a := range resp.Schema.Attributes {
				if a.GetMarkdownDescription() == "" {
					t.Errorf("%s has no description", name)
				}
			}
			fits(t, tfsdk.State{Schema: resp.Schema,
				Raw: unknownObject(ctx, resp.Schema.Type().TerraformType(ctx))}, c.model)
		})
	}
	for name, c := range map[string]struct {
		l     list.ListResource
		model any
	}{
		"dcvaas_domain":              {&domainListResource{}, &domainFilters{}},
		"dcvaas_api_token":           {&apiTokenListResource{}, &struct{}{}},
		"dcvaas_webhook":             {&webhookListResource{}, &struct{}{}},
		"dcvaas_organization_member": {&memberListResource{}, &struct{}{}},
	} {
		t.Run("list "+name, func(t *testing.T) {
			var meta resource.MetadataResponse
			if c.l.Metadata(ctx, resource.MetadataRequest{ProviderTypeName: "dcvaas"},
				&meta); meta.TypeName != name {
				t.Errorf("the type name is %s", meta.TypeName)
			}
			var resp list.ListResourceSchemaResponse
			c.l.ListResourceConfigSchema(ctx, list.ListResourceSchemaRequest{}, &resp)
			sound(t, resp.Schema)
			for name, a := range resp.Schema.Attributes {
				if a.GetMarkdownDescription() == "" {
					t.Errorf("%s has no description", name)
				}
			}
			fits(t, tfsdk.State{Schema: resp.Schema,
				Raw: unknownObject(ctx, resp.Schema.Type().TerraformType(ctx))}, c.model)
		})
	}
	for name, c := range map[string]struct {
		a     action.Action
		model any
	}{
		"dcvaas_renew":  {&renewAction{}, &renewModel{}},
		"dcvaas_verify": {&verifyAction{}, &verifyModel{}},
	} {
		t.Run("action "+name, func(t *testing.T) {
			var meta action.MetadataResponse
			if c.a.Metadata(ctx, action.MetadataRequest{ProviderTypeName: "dcvaas"},
				&meta); meta.TypeName != name {
				t.Errorf("the type name is %s", meta.TypeName)
			}
			var resp action.SchemaResponse
			c.a.Schema(ctx, action.SchemaRequest{}, &resp)
			sound(t, resp.Schema)
			for name, a := range resp.Schema.Attributes {
				if a.GetMarkdownDescription() == "" {
					t.Errorf("%s has no description", name)
				}
			}
			fits(t, tfsdk.State{Schema: resp.Schema,
				Raw: unknownObject(ctx, resp.Schema.Type().TerraformType(ctx))}, c.model)
		})
	}
}

// unknownObject returns an object whose attributes are all unknown.
func unknownObject(_ context.Context, typ tftypes.Type) tftypes.Value {
	values := map[string]tftypes.Value{}
	for name, t := range typ.(tftypes.Object).AttributeTypes {
		values[name] = tftypes.NewValue(t, tftypes.UnknownValue)
	}
	return tftypes.NewValue(typ, values)
}

func fits(t *testing.T, s tfsdk.State, model any) {
	t.Helper()
	if d := s.Get(t.Context(), model); d.HasError() {
		t.Errorf("the schema does not match the model: %v", d)
	}
	if d := s.Set(t.Context(), model); d.HasError() {
		t.Errorf("the model does not match the schema: %v", d)
	}
}
