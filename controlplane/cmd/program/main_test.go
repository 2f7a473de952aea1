package program

import (
	"os"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres/postgrestest"
)

// asProgram is the environment variable that makes the test binary run the program. Tests use it to
// start processes that they can kill.
const asProgram = "DCVAAS_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(Main("test", os.Args[1:], os.Stdout, os.Stderr))
	}
	postgrestest.Main(m)
}
