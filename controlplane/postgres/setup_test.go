package postgres_test

import (
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// TestSetupErrorOfSeveralHosts tests that a host that can become available makes an error an
// outage, and that hosts that never can do not.
func TestSetupErrorOfSeveralHosts(t *testing.T) {
	t.Parallel()
	const refused = "127.0.0.1:1" // nothing listens on it
	const unknown, other = "db1..example.net:5432", "db2..example.net:5432"
	for hosts, want := range map[string]string{
		unknown: "has an unknown host name", unknown + "," + other: "has an unknown host name",
		refused: "", unknown + "," + refused: "", refused + "," + unknown: "",
	} {
		s, err := postgres.Open(t.Context(), postgres.Config{
			DSN: "postgres://someone:hidden@" + hosts + "/data?sslmode=prefer"})
		if err != nil {
			t.Fatal(err)
		}
		err = s.Ping(t.Context())
		s.Close()
		got := postgres.SetupErrorOf(err)
		switch {
		case want == "" && got != nil:
			t.Errorf("SetupErrorOf(%v) = %v, want nil", err, got)
		case want == "" && postgres.Outage(err) == "":
			t.Errorf("Outage(%v) is empty, want a cause", err)
		case want == "":
		case got == nil || got.Cause != want:
			t.Errorf("SetupErrorOf(%v) = %v, want %q", err, got, want)
		case strings.Contains(got.Error(), "hidden"):
			t.Errorf("SetupErrorOf() = %v, want no password", got)
		case !strings.Contains(got.Error(), "db1..example.net"):
			t.Errorf("SetupErrorOf() = %v, want the host", got)
		}
	}
}
