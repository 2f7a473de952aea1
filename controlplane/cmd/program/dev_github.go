package program

import (
	"context"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
)

// The OAuth app of the GitHub stand-in. Its secret protects nothing.
const devGitHubClient, devGitHubSecret = "dcvaas-dev", "dcvaas-dev"

// devLogin is the login that signs in with one click: the owner of the organization.
const devLogin = "developer"

func (d *Dev) startGitHub(ctx context.Context, c DevConfig) error {
	port, err := c.port(devGitHubPort)
	if err != nil {
		return err
	}
	if d.GitHub, err = devstack.StartGitHub(ctx,
		devstack.GitHubConfig{Listen: loopback(port), ClientID: devGitHubClient,
			Secret: devGitHubSecret,
			Logins: []string{devLogin, "alice", "bob"}}); err != nil {
		return err
	}
	d.onStop(func(context.Context) { d.GitHub.Stop() })
	return nil
}

// devOwner adds the developer as an owner of the organization, unless they are already a member.
func devOwner(ctx context.Context, a *App, orgID string, account controlplane.GitHubAccount) error {
	_, err := a.lifecycle.AddMember(ctx, controlplane.System("dev"), orgID, account,
		controlplane.RoleOwner)
	if controlplane.HasCode(err, "member-exists") {
		return nil
	}
	return err
}
