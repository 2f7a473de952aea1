package controlplane

import (
	"strings"
	"time"
)

// GitHubAccount is somebody at GitHub. Its id stays when its login changes.
type GitHubAccount struct {
	ID    int64
	Login string
	Name  string // may be empty
}

// User is somebody who signs in, or who may. The account's id at GitHub is who they are; a
// login can pass to somebody else.
type User struct {
	ID        string
	GitHubID  int64
	Login     string // empty where it passed to another account, until the next sign-in
	Name      string // may be empty
	JoinedAt  *time.Time
	CreatedAt time.Time
}

// Title returns what a user is called on pages.
func (u *User) Title() string {
	switch {
	case u.Login != "":
		return u.Login
	case u.Name != "":
		return u.Name
	}
	return u.ID
}

const maxLogin = 100 // GitHub's have up to 39; those of an enterprise's accounts a suffix

// IsLogin reports whether s has the form of a login at GitHub, so that any other costs no
// look-up.
func IsLogin(s string) bool {
	return s != "" && len(s) <= maxLogin && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}
