// Command schemajson writes the provider's schemas to standard output, in the format of terraform
// providers schema -json. make docs renders the pages from it, so that they contain all types: an
// older Terraform omits types that it does not support.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/dcvaas/terraform-provider-dcvaas/provider"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "schemajson:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	server := providerserver.NewProtocol6(provider.New("dev")())()
	schemas, err := server.GetProviderSchema(ctx, &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		return err
	}
	identities, err := server.GetResourceIdentitySchemas(ctx,
		&tfprotov6.GetResourceIdentitySchemasRequest{})
	if err != nil {
		return err
	}
	for _, d := range append(schemas.Diagnostics, identities.Diagnostics...) {
		if d.Severity == tfprotov6.DiagnosticSeverityError {
			return fmt.Errorf("%s: %s", d.Summary, d.Detail)
		}
	}
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", "  ")
	return out.Encode(document{
		FormatVersion: "1.0",
		Schemas: map[string]providerSchema{"dcvaas": {
			Provider:           newSchema(schemas.Provider),
			Resources:          each(schemas.ResourceSchemas, newSchema),
			DataSources:        each(schemas.DataSourceSchemas, newSchema),
			EphemeralResources: each(schemas.EphemeralResourceSchemas, newSchema),
			ListResources:      each(schemas.ListResourceSchemas, newSchema),
			Actions: each(schemas.ActionSchemas,
				func(a *tfprotov6.ActionSchema) schema { return newSchema(a.Schema) }),
			Functions:  each(schemas.Functions, newFunction),
			Identities: each(identities.IdentitySchemas, newIdentity),
		}},
	})
}

func each[A, B any](in map[string]A, f func(A) B) map[string]B {
	out := make(map[string]B, len(in))
	for name, v := range in {
		out[name] = f(v)
	}
	return out
}
