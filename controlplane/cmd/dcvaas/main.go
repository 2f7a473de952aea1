// Command dcvaas is the whole control plane: the API and dashboard, the workers, the name server of
// the validation zone, and a development stack with all of them.
package main

import (
	"os"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/cmd/program"
)

// version is set by the build.
var version = "dev"

func main() {
	os.Exit(program.Main(version, os.Args[1:], os.Stdout, os.Stderr))
}
