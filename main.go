// Command terraform-provider-dcvaas is the Terraform provider's plugin program. Terraform starts it; package provider does the work.
package main

import (
	"context"
	"flag"
	"log"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"

	"github.com/dcvaas/terraform-provider-dcvaas/provider"
)

// version is set by the linker when a release is built.
var version = "dev"

func main() {
	debug := flag.Bool("debug", false, "wait for a debugger, and print the TF_REATTACH_PROVIDERS line to start Terraform with")
	flag.Parse()

	err := providerserver.Serve(context.Background(), provider.New(version), providerserver.ServeOpts{
		Address: "registry.terraform.io/dcvaas/dcvaas",
		Debug:   *debug,
	})
	if err != nil {
		log.Fatal(err)
	}
}
