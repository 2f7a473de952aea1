package dashboard

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// boxOf returns the box that selects a domain in the list.
func boxOf(d *controlplane.Domain) string { return `name="domain" value="` + d.ID + `"` }

func TestSelectDomains(t *testing.T) {
	s := newSignedIn(t)
	a, b := s.add(s.org, "a.example.com"), s.add(s.org, "b.example.com")
	foreign := s.add(s.newOrg("Other Ltd"), "foreign.example.com")
	s.get("/domains").has(boxOf(a), boxOf(b), `id="select"`)
	s.get("/domains/selected").to("/domains")
	s.get("/domains").want(http.StatusOK, "No domain is selected.")
	page := selectionURL([]string{a.ID, b.ID})
	s.get("/domains/selected?domain=" + b.ID + "&domain=" + a.ID + "&domain=" + a.ID).to(page)
	s.get(page).want(http.StatusOK, "2 domains selected", "a.example.com", "b.example.com").
		hasNot(boxOf(a))
	s.get(selectionURL([]string{a.ID, foreign.ID})).want(http.StatusOK,
		"1 domain selected").hasNot("foreign.example.com")
	for _, path := range []string{selectionURL([]string{foreign.ID}), selectedPath + "/x",
		selectedPath + "/" + a.ID + ",", "/domains/selected?domain=x"} {
		s.get(path).want(http.StatusNotFound)
	}
	s.addMember(s.org, reader, controlplane.RoleMember)
	member := s.signedInAs(reader)
	member.post(switchURL(s.org.ID), nil).to("/domains")
	member.get("/domains").want(http.StatusOK, "a.example.com").hasNot(boxOf(a), `id="select"`)
}

// Each domain has its own result: what was started, or why nothing was.
func TestSelectionResults(t *testing.T) {
	s := newSignedIn(t)
	issued, bare, gone := s.add(s.org, "issued.example.com"), s.add(s.org, "bare.example.com"),
		s.add(s.org, "gone.example.com")
	s.issue(issued)
	s.issue(issued) // the renewal, too recent for another one
	page := selectionURL([]string{issued.ID, bare.ID, gone.ID})
	s.get(page).want(http.StatusOK, "3 domains selected")
	s.must(s.life.DeleteDomain(t.Context(), controlplane.System("test"), s.org.ID, gone.ID, 0))

	result := s.post(page+"/renew", nil)
	s.follow(result).want(http.StatusOK, "Renew now: done for 1 of 2",
		"bare.example.com Done Certificate order started.", "issued.example.com Not done",
		"hour").has(`href="` + domainURL(bare.ID) + `"`)
	s.follow(result).want(http.StatusOK, "Renew now: done for 1 of 2") // after a reload
	stranger := controlplane.GitHubAccount{ID: 51, Login: "colleague"}
	s.addMember(s.org, stranger, controlplane.RoleOwner)
	colleague := s.signedInAs(stranger)
	colleague.post(switchURL(s.org.ID), nil).to("/domains")
	colleague.follow(result).want(http.StatusNotFound)

	s.follow(s.post(page+"/check", nil)).want(http.StatusOK, "Check DNS now: done for 2 of 2")
}

func TestLabelSelected(t *testing.T) {
	s := newSignedIn(t)
	a, b := s.add(s.org, "a.example.com"), s.add(s.org, "b.example.com")
	s.label(a, map[string]string{"team": "old", "env": "test", "keep": "1"})
	s.label(b, map[string]string{"team": "web"})
	page := selectionURL([]string{a.ID, b.ID})
	for _, wrong := range []url.Values{nil, {"set": {"team"}}, {"remove": {"=x"}},
		{"set": {"a=1\na=2"}}} {
		s.post(page+"/labels", wrong).want(http.StatusUnprocessableEntity).has(
			`aria-invalid="true"`)
	}
	form := url.Values{"set": {"team=web"}, "remove": {"env, absent"}}
	s.follow(s.post(page+"/labels", form)).want(http.StatusOK, "Change labels: done for 2 of 2",
		"a.example.com Done Labels changed.", "b.example.com Done The labels are as requested")
	if got := s.reload(a).Labels; len(got) != 2 || got["team"] != "web" || got["keep"] != "1" {
		t.Errorf("labels = %v, want team=web and keep=1", got)
	}
	before := len(s.actions(s.org.ID, "domain"))
	s.follow(s.post(page+"/labels", form)).want(http.StatusOK, "done for 2 of 2")
	if after := len(s.actions(s.org.ID, "domain")); after != before {
		t.Errorf("%d entries for labels that are set already, want none", after-before)
	}
	s.follow(s.post(page+"/labels", url.Values{"set": {"Ünvalid=1"}})).want(http.StatusOK,
		"done for 0 of 2", "a.example.com Not done")
}

func TestDeleteSelected(t *testing.T) {
	s := newSignedIn(t)
	a, b, kept := s.add(s.org, "a.example.com"), s.add(s.org, "b.example.com"),
		s.add(s.org, "kept.example.com")
	page := selectionURL([]string{a.ID, b.ID})
	for _, typed := range []string{"", "3", "two"} {
		s.post(page+"/delete", url.Values{"confirm": {typed}}).want(
			http.StatusUnprocessableEntity, "Nothing was deleted. Type 2.")
	}
	s.follow(s.post(page+"/delete", url.Values{"confirm": {" 2 "}})).want(http.StatusOK,
		"Delete: done for 2 of 2", "a.example.com Done Domain deleted.").
		hasNot(`href="` + domainURL(a.ID) + `"`)
	left := s.get("/domains").want(http.StatusOK, "kept.example.com", "1 of 15")
	left.has(boxOf(kept)).hasNot("a.example.com<")
	s.post(page+"/delete", url.Values{"confirm": {"2"}}).want(http.StatusNotFound)
}

// Two domains are selected and deleted with the keyboard, with and without scripts.
func TestBrowserDeleteSelected(t *testing.T) {
	for name, scripts := range map[string]bool{"with scripts": true, "without scripts": false} {
		t.Run(name, func(t *testing.T) {
			s := newSignedIn(t)
			a, b := s.add(s.org, "a.example.com"), s.add(s.org, "b.example.com")
			s.add(s.org, "kept.example.com")
			tab := s.open(375, 800, false, scripts)
			tab.signInBrowser(s)
			tab.run(goTo(s.server.URL+"/domains?sort=name"), visible(`#select button`))
			for _, d := range []*controlplane.Domain{a, b} {
				tab.run(chromedp.Focus(`input[value="` + d.ID + `"]`))
				tab.key(" ")
			}
			if scripts {
				tab.eventually(`document.getElementById("selected").textContent === "2 selected"`)
			}
			tab.run(chromedp.Focus(`#select button`))
			tab.key(kb.Enter)
			tab.run(visible(`#confirm`), chromedp.Focus(`#confirm`))
			tab.checkFits()
			tab.key("2", kb.Enter)
			tab.run(visible(`.rows.results`))
			tab.checkFits()
			if got := s.queryText(`SELECT string_agg(name, ' ') FROM domains WHERE org_id = $1`,
				s.org.ID); got != "kept.example.com" {
				t.Errorf("domains = %q, want kept.example.com", got)
			}
		})
	}
}
