package program

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/user"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

type adminCommand struct {
	CreateOrg    createOrgCommand    `cmd:"" help:"Create an organization and print its ID."`
	CreateToken  createTokenCommand  `cmd:"" help:"Create an API token and print its secret. The secret is shown only once."`
	ListOrgs     listOrgsCommand     `cmd:"" help:"List the organizations."`
	Invite       inviteCommand       `cmd:"" help:"Create an invitation to an organization and print its link. The link is shown only once."`
	NewKeyset    newKeysetCommand    `cmd:"" help:"Create a keyset for DCVAAS_KEYSET."`
	RotateKeyset rotateKeysetCommand `cmd:"" help:"Replace the key that seals data, in four steps: --prepare, no option, --reseal, --remove."`
	CA           caCommand           `cmd:"" name:"ca" help:"Put CAs on hold, release them, and show their states."`

	RollAccountKey rollAccountKeyCommand `cmd:"" help:"Change the key of the account at a CA, or complete an interrupted rollover."`
}

type createOrgCommand struct {
	Config
	Name        string `arg:"" help:"Name of the organization."`
	Tier        string `default:"free" enum:"free,pro,agency" help:"free, pro, or agency."`
	DomainLimit *int   `help:"Maximum number of domains; overrides the tier's limit."`

	DelegationLimit *int `help:"Maximum number of delegations; overrides the tier's limit."`
}

// Run creates the organization.
func (c *createOrgCommand) Run(r *run) error {
	service, done, err := adminService(r, c.Config)
	if err != nil {
		return err
	}
	defer done()
	org, err := service.CreateOrganization(r.ctx, adminActor(),
		lifecycle.NewOrganization{Name: c.Name, Tier: controlplane.Tier(c.Tier),
			DomainLimit: c.DomainLimit, DelegationLimit: c.DelegationLimit})
	if err != nil {
		return forPeople(err)
	}
	_, err = fmt.Fprintln(r.stdout, org.ID)
	return err
}

type createTokenCommand struct {
	Config
	Org       string        `required:"" help:"ID of the organization."`
	Name      string        `default:"admin" help:"Name of the token."`
	Scopes    []string      `help:"Scopes of the token. Default: all scopes."`
	ExpiresIn time.Duration `help:"Lifetime of the token. Default: no expiry."`
}

// Run creates the token.
func (c *createTokenCommand) Run(r *run) error {
	service, done, err := adminService(r, c.Config)
	if err != nil {
		return err
	}
	defer done()
	in := lifecycle.NewToken{Name: c.Name, Scopes: controlplane.Scopes()}
	if len(c.Scopes) > 0 {
		in.Scopes = nil
		for _, s := range c.Scopes {
			in.Scopes = append(in.Scopes, controlplane.Scope(s))
		}
	}
	if c.ExpiresIn > 0 {
		at := time.Now().Add(c.ExpiresIn)
		in.ExpiresAt = &at
	}
	_, secret, err := service.CreateToken(r.ctx, adminActor(), nil, c.Org, in)
	if err != nil {
		return forPeople(err)
	}
	_, err = fmt.Fprintln(r.stdout, secret)
	return err
}

type listOrgsCommand struct{ Config }

// Run lists the organizations.
func (c *listOrgsCommand) Run(r *run) error {
	store, err := postgres.Open(r.ctx, postgres.Config{DSN: c.Database})
	if err != nil {
		return err
	}
	defer store.Close()
	all, err := store.Organizations(r.ctx)
	if err != nil {
		return forPeople(err)
	}
	for _, o := range all {
		if _, err := fmt.Fprintf(r.stdout, "%s\t%s\t%s\n", o.ID, o.Tier, o.Name); err != nil {
			return err
		}
	}
	return nil
}

type inviteCommand struct {
	Config
	Org       string        `required:"" help:"ID of the organization."`
	Role      string        `default:"owner" enum:"owner,admin,member" help:"owner, admin, or member."`
	ExpiresIn time.Duration `default:"168h" help:"Lifetime of the link: 5 minutes to 30 days."`
}

// Run creates the invitation. An organization gets its first owner this way.
func (c *inviteCommand) Run(r *run) error {
	service, done, err := adminService(r, c.Config)
	if err != nil {
		return err
	}
	defer done()
	_, secret, err := service.CreateInvitation(r.ctx, adminActor(), nil, c.Org,
		controlplane.Role(c.Role), c.ExpiresIn)
	if err != nil {
		return forPeople(err)
	}
	_, err = fmt.Fprintln(r.stdout, strings.TrimSuffix(c.PublicURL, "/")+
		controlplane.InvitationPath(secret))
	return err
}

// adminService returns the lifecycle service for an admin command. It can't issue certificates. The
// caller must call the returned function when done.
func adminService(r *run, c Config) (*lifecycle.Service, func(), error) {
	if err := c.check(); err != nil {
		return nil, nil, err
	}
	k, err := deriveKeys(c.SecretKey)
	if err != nil {
		return nil, nil, err
	}
	store, err := postgres.Open(r.ctx, postgres.Config{DSN: c.Database})
	if err != nil {
		return nil, nil, err
	}
	service, err := lifecycle.New(lifecycle.Config{Store: store,
		Zone:      cmp.Or(c.Zone, "none.invalid"), // admin commands show no targets
		TargetKey: k.target,
		Logger:    slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		store.Close()
		return nil, nil, err
	}
	return service, store.Close, nil
}

// adminActor returns the operator as an actor, named after the operating system's user.
func adminActor() controlplane.Actor {
	a := controlplane.System("admin")
	if u, err := user.Current(); err == nil {
		a.ID = "admin:" + u.Username
	}
	return a
}

// forPeople returns an error whose text includes the fix and the invalid fields.
func forPeople(err error) error {
	e, ok := errors.AsType[*controlplane.Error](err)
	if !ok || e.Kind == controlplane.KindInternal {
		return err
	}
	text := e.Message
	if len(e.Fields) > 1 {
		for _, f := range e.Fields {
			text += "\n  " + f.Pointer + ": " + f.Detail
		}
	} else if e.Fix != "" {
		text += " " + e.Fix
	}
	if e.Err != nil {
		text += " (" + e.Err.Error() + ")"
	}
	return errors.New(text)
}
