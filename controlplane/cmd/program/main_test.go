package program

import (
	"os"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres/postgrestest"
)

// asProgram makes the test binary be the program: tests start it so as processes that they
// can kill.
const asProgram = "DCVAAS_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(Main("test", os.Args[1:], os.Stdout, os.Stderr))
	}
	postgrestest.Main(m)
}
