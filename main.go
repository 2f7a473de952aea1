// Command terraform-provider-dcvaas is the plugin program of the Terraform provider, which package
// provider implements. Terraform starts it.
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
	debug := flag.Bool("debug", false,
		"run under a debugger, and print the TF_REATTACH_PROVIDERS value to start Terraform with")
	flag.Parse()

	err := providerserver.Serve(context.Background(), provider.New(version),
		providerserver.ServeOpts{
			Address: "registry.terraform.io/dcvaas/dcvaas",
			Debug:   *debug,
		})
	if err != nil {
		log.Fatal(err)
	}
}
