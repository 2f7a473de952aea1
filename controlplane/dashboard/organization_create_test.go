package dashboard

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestCreateOrganization(t *testing.T) {
	s := newSignedIn(t)
	s.add(s.org, "mine.example.net")
	s.get("/organizations").want(http.StatusOK, "Create an organization")
	for _, name := range []string{"", strings.Repeat("n", 300)} {
		s.post("/organizations", url.Values{"name": {name}}).want(http.StatusUnprocessableEntity).
			has(`id="name-error"`)
	}
	s.follow(s.post("/organizations", url.Values{"name": {"<b>Second</b>"}}).to("/domains")).
		want(http.StatusOK, "Organization created.", "<b>Second</b>", "0 of 3 on the free plan").
		hasNot("mine.example.net", "<b>Second</b>")
	for range 3 {
		s.post("/organizations", url.Values{"name": {"More"}}).to("/domains")
	}
	s.post("/organizations", url.Values{"name": {"More"}}).want(http.StatusForbidden,
		"You already own 5 organizations", "Delete an organization that you no longer need")
	s.life.InvitedOnly = true
	s.get("/organizations").want(http.StatusOK).hasNot("Create an organization")
	s.post("/organizations", url.Values{"name": {"More"}}).want(http.StatusForbidden)
}
