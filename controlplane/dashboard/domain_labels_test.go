package dashboard

import (
	"net/http"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// label sets the labels of a domain.
func (s *site) label(d *controlplane.Domain, labels map[string]string) {
	s.t.Helper()
	_, err := s.life.UpdateDomain(s.t.Context(), controlplane.System("test"), d.OrgID, d.ID, 0,
		lifecycle.DomainPatch{Labels: &labels})
	s.must(err)
}

func TestFilterByLabel(t *testing.T) {
	s := newSignedIn(t)
	web, mail := s.add(s.org, "web.example.com"), s.add(s.org, "mail.example.com")
	s.add(s.org, "bare.example.com")
	s.label(web, map[string]string{"team": "web", "env": "a&b=c", "x1": "", "x2": ""})
	s.label(mail, map[string]string{"team": "mail"})
	s.get("/domains?sort=name").want(http.StatusOK, "team=web", "env=a&b=c", "team=mail").
		has(`href="/domains?label=team%3Dweb&amp;sort=name"`).hasNot("x2=")
	s.get("/domains?label=team%3Dweb&q=example").want(http.StatusOK, "web.example.com",
		"Remove the filter by label").hasNot(mail.ID).
		has(`href="/domains?q=example"`, `<input type="hidden" name="label" value="team=web">`)
	s.get("/domains?label=env%3Da%26b%3Dc").want(http.StatusOK, "web.example.com").hasNot(mail.ID)
	s.get("/domains?label=team").want(http.StatusOK, "web.example.com",
		"mail.example.com").hasNot("bare.example.com")
	s.get("/domains?label=team%3Dnone").want(http.StatusOK, "No domains match", "team=none")
}
