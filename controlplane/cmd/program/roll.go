package program

import (
	"errors"
	"fmt"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/acme"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/seal"
)

type rollAccountKeyCommand struct {
	Config
	CA string `name:"ca" required:"" placeholder:"NAME" help:"The CA's name, as configured: letsencrypt, zerossl, or one of DCVAAS_CAS. CA/ACCOUNT for one of several accounts."`
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
	ca, account, err := accountAt(cas, c.CA)
	if err != nil {
		return err
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
	planned, err := store.PlannedAccountKey(r.ctx,
		controlplane.AccountURL(ca.DirectoryURL, account))
	if err != nil {
		return forPeople(err)
	}
	if err := engine.RollOver(r.ctx, ca.Name, account); err != nil {
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

// accountAt returns the account that ref names: CA/ACCOUNT, or a CA with one account.
func accountAt(cas []acme.CA, ref string) (acme.CA, string, error) {
	for _, ca := range cas {
		all := ca.AccountNames()
		if ref == ca.Name && len(all) == 1 {
			return ca, all[0], nil
		}
		if ref == ca.Name {
			return ca, "", fmt.Errorf("ca: %s has several accounts: name one of them, such as %s",
				ref, controlplane.AccountRef(ca.Name, all[0]))
		}
		for _, account := range all {
			if ref == controlplane.AccountRef(ca.Name, account) {
				return ca, account, nil
			}
		}
	}
	return acme.CA{}, "", errUnknownCA(cas, ref)
}
