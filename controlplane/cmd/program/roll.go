package program

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/acme"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/seal"
)

type rollAccountKeyCommand struct {
	Config
	CA string `name:"ca" required:"" placeholder:"NAME" help:"The CA's name, as configured: letsencrypt, zerossl, or one of DCVAAS_CAS."`
}

// Run changes the key of the account at the CA, or completes an interrupted rollover. Workers can
// keep running.
func (c *rollAccountKeyCommand) Run(r *run) error {
	if err := c.check(); err != nil {
		return err
	}
	cas, err := c.ACME.list()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(cas, func(ca acme.CA) bool { return ca.Name == c.CA })
	if i < 0 {
		return fmt.Errorf("ca: unknown CA %q: must be one of %s", c.CA,
			strings.Join(names(cas), ", "))
	}
	if c.Keyset == "" {
		return errNoKeyset
	}
	sealer, err := seal.Open([]byte(c.Keyset))
	if err != nil {
		return fmt.Errorf("keyset (DCVAAS_KEYSET): %w", err)
	}
	store, err := postgres.Open(r.ctx, postgres.Config{DSN: c.Database})
	if err != nil {
		return err
	}
	defer store.Close()
	engine, err := newEngine(cas, store, sealer, nil)
	if err != nil {
		return err
	}
	defer engine.Close()
	planned, err := store.PlannedAccountKey(r.ctx, cas[i].DirectoryURL)
	if err != nil {
		return forPeople(err)
	}
	if err := engine.RollOver(r.ctx, c.CA, ""); err != nil {
		if e, ok := errors.AsType[*acme.Error](err); ok && e.Class != acme.Internal {
			return errors.New(strings.TrimSpace(e.Message + " " + e.Fix))
		}
		return forPeople(err)
	}
	message := "The account at %s has a new key.\n"
	if planned != nil {
		message = "The account at %s has the key that an interrupted rollover had planned.\n"
	}
	_, err = fmt.Fprintf(r.stdout, message, c.CA)
	return err
}

func names(cas []acme.CA) []string {
	out := make([]string, len(cas))
	for i, ca := range cas {
		out[i] = ca.Name
	}
	return out
}
