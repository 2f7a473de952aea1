package controlplane

import (
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// GitHubAccount is a person's account at GitHub. Its ID remains when its login changes.
type GitHubAccount struct {
	ID    int64
	Login string
	Name  string // may be empty
}

// User is a person who has signed in, or who is invited. The ID of the GitHub account identifies
// the person; a login can pass to another account.
type User struct {
	ID        string
	GitHubID  int64
	Login     string // empty if it passed to another account, until the next sign-in
	Name      string // may be empty
	JoinedAt  *time.Time
	CreatedAt time.Time
}

// Title returns a user's name on pages.
func (u *User) Title() string {
	switch {
	case u.Login != "":
		return u.Login
	case u.Name != "":
		return u.Name
	}
	return u.ID
}

// IsLogin reports whether s has the form of a GitHub login, so that other values cost no lookup.
func IsLogin(s string) bool { return rules.CheckLogin(s) == nil }
