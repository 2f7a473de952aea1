package program

import (
	"fmt"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

type serveCommand struct{ Config }

// Run serves the API and the dashboard.
func (c *serveCommand) Run(r *run) error { return runApp(r, c.Config, Parts{Serve: true}) }

type workCommand struct{ Config }

// Run runs the workers.
func (c *workCommand) Run(r *run) error { return runApp(r, c.Config, Parts{Work: true}) }

type dnsCommand struct{ Config }

// Run serves the validation zone.
func (c *dnsCommand) Run(r *run) error { return runApp(r, c.Config, Parts{DNS: true}) }

type allCommand struct{ Config }

// Run runs every part in one process.
func (c *allCommand) Run(r *run) error {
	return runApp(r, c.Config, Parts{Serve: true, Work: true, DNS: true})
}

func runApp(r *run, c Config, parts Parts) error {
	app, err := NewApp(r.ctx, c, parts, r.stderr)
	if err != nil {
		return err
	}
	return app.Run(r.ctx)
}

type migrateCommand struct {
	Database string `name:"database-url" env:"DCVAAS_DATABASE_URL" placeholder:"URL" help:"Postgres, as postgres://user:password@host/database. A secret."`
	Roles    string `placeholder:"PREFIX" help:"Also create the database roles PREFIX_serve, PREFIX_work, and PREFIX_dns, each with only the rights that its part needs. Later runs update the rights, with or without this flag. Requires CREATEROLE, unless the roles exist."`
}

// Run upgrades the database schema to this version. It is safe to run concurrently, and while the
// previous version of the program is running.
func (c *migrateCommand) Run(r *run) error {
	if c.Database == "" {
		return errNoDatabase
	}
	store, err := postgres.Open(r.ctx, postgres.Config{DSN: c.Database})
	if err != nil {
		return err
	}
	defer store.Close()
	n, err := store.Migrate(r.ctx)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(r.stdout, "The schema is up to date (%d migrations applied).\n",
		n); err != nil {
		return err
	}
	roles, err := store.GrantRoles(r.ctx, c.Roles)
	if err != nil {
		return forPeople(err)
	}
	if len(roles) > 0 {
		_, err = fmt.Fprintf(r.stdout, "The roles %s have the rights of their parts.\n",
			strings.Join(roles, ", "))
	}
	return err
}
