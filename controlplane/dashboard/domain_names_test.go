package dashboard

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// addNames adds a domain with several names.
func (s *site) addNames(name string, additional ...string) *controlplane.Domain {
	s.t.Helper()
	d, err := s.life.AddDomain(s.t.Context(), controlplane.System("test"), s.org.ID,
		lifecycle.NewDomain{Name: name, Options: controlplane.Options{
			AdditionalNames: additional, AutoIssue: true, AutoRenew: true}})
	s.must(err)
	return d
}

// breakDelegation has the last check of a delegation find another target.
func (s *site) breakDelegation(name string) {
	s.t.Helper()
	s.exec(`UPDATE delegations SET state = 'broken', diagnosis = $3 WHERE org_id = $1 AND name = $2`,
		s.org.ID, name, &controlplane.Diagnosis{Code: controlplane.CauseCNAMEMismatch,
			Summary: "_acme-challenge." + name + " points to old.example.net.",
			Fix:     "Replace the record.", CheckedAt: time.Now()})
}

func TestAddSeveralNames(t *testing.T) {
	s := newSignedIn(t)
	s.post("/domains", url.Values{"name": {" Example.com\twww.example.com,\n*.Example.net; "}})
	d, err := s.store.Domain(t.Context(), s.org.ID, "example.com")
	s.must(err)
	if want := []string{"*.example.net", "www.example.com"}; !slices.Equal(d.AdditionalNames,
		want) {
		t.Errorf("AdditionalNames = %q, want %q", d.AdditionalNames, want)
	}
	page := s.get("/domains/"+d.ID).want(http.StatusOK, "Create the records below",
		"DNS records", "For example.com", "For www.example.com", "For *.example.net")
	for _, name := range d.Bases() {
		page.has(`data-copy="_acme-challenge.`+name+`"`,
			`data-copy="`+d.TargetOf(name)+`.acme.dcvaas-verify.com"`)
	}
	s.get("/domains").want(http.StatusOK, "example.com +2 further names")

	s.post("/domains", url.Values{"name": {"other.example.com nodots exa_mple.org"}}).want(
		http.StatusUnprocessableEntity, `nodots`, "exa_mple.org").
		has(`value="other.example.com nodots exa_mple.org"`)
	s.post("/domains", url.Values{"name": {""}}).want(http.StatusUnprocessableEntity)
}

func TestDomainRecords(t *testing.T) {
	s := newSignedIn(t)
	d := s.addNames("shop.example.co.uk", "*.shop.example.co.uk", "example.com", "a.example.com")
	target := func(name string) string { return d.TargetOf(name) + ".acme.dcvaas-verify.com" }
	a := s.get("/domains/"+d.ID).want(http.StatusOK, "Not yet",
		"For shop.example.co.uk, *.shop.example.co.uk")
	if n := strings.Count(a.body, `id="record-`); n != 3 {
		t.Errorf("%d records, want 3: the wildcard uses that of its base name", n)
	}
	s.breakDelegation("example.com")
	s.exec(`UPDATE delegations SET state = 'delegated' WHERE org_id = $1 AND name = 'a.example.com'`,
		s.org.ID)
	s.get("/domains/"+d.ID).want(http.StatusOK,
		"For example.com CNAME points elsewhere _acme-challenge.example.com points to "+
			"old.example.net. Replace the record.", "For a.example.com Verified")

	zone := s.get("/domains/" + d.ID + "/records.zone").want(http.StatusOK)
	if want := "; Zone example.co.uk\n" +
		"_acme-challenge.shop.example.co.uk. 300 IN CNAME " + target("shop.example.co.uk") + ".\n" +
		"; Zone example.com\n" +
		"_acme-challenge.a.example.com. 300 IN CNAME " + target("a.example.com") + ".\n" +
		"_acme-challenge.example.com. 300 IN CNAME " + target("example.com") + ".\n"; zone.body != want {
		t.Errorf("zone file:\n%s\nwant:\n%s", zone.body, want)
	}
	list := s.get("/domains/" + d.ID + "/records.csv").want(http.StatusOK)
	if want := "zone,name,type,ttl,value\n" +
		"example.co.uk,_acme-challenge.shop.example.co.uk,CNAME,300," +
		target("shop.example.co.uk") + "\n" +
		"example.com,_acme-challenge.a.example.com,CNAME,300," + target("a.example.com") + "\n" +
		"example.com,_acme-challenge.example.com,CNAME,300," + target("example.com") +
		"\n"; list.body != want {
		t.Errorf("CSV:\n%s\nwant:\n%s", list.body, want)
	}
	s.get("/domains/" + d.ID + "/records.txt").want(http.StatusNotFound)
}

// A condition lists the names that are not ready. The records show the problems of records.
func TestNamesThatAreNotReady(t *testing.T) {
	s := newSignedIn(t)
	d := s.addNames("example.com", "www.example.com", "example.net")
	s.change(d, func(d *controlplane.Domain) {
		d.SetCondition(controlplane.Condition{Type: controlplane.RenewalOnTrack, Status: "false",
			Reason: controlplane.CauseCNAMEMismatch, Message: "www.example.com is wrong.",
			Names: []controlplane.NameStatus{
				{Name: "www.example.com", Reason: controlplane.CauseCNAMEMismatch, Message: "www.example.com is wrong."},
				{Name: "example.com", Reason: controlplane.CauseCNAMEMissing, Message: "It is missing."},
				{Name: "example.net", Reason: controlplane.CauseCAAForbids, Message: "CAA forbids both.",
					Fix: "Allow one."}}})
	})
	s.get("/domains/"+d.ID).want(http.StatusOK, "www.example.com is wrong.",
		"example.com : CNAME not found", "example.net : CA forbidden by CAA records CAA forbids both. Allow one.").
		hasNot("It is missing.")
}

func TestChangeNames(t *testing.T) {
	s := newSignedIn(t)
	d := s.addNames("example.com", "www.example.com")
	path := "/domains/" + d.ID
	form := func(names string) url.Values {
		return url.Values{"names": {names}, "version": {namesVersion(d)}}
	}
	reload := func() *controlplane.Domain {
		now, err := s.store.Domain(t.Context(), s.org.ID, d.ID)
		s.must(err)
		return now
	}
	s.post(path+"/names", form("WWW.example.com\r\napi.example.com\r\n")).to(path)
	if got := reload(); !slices.Equal(got.AdditionalNames,
		[]string{"api.example.com", "www.example.com"}) || got.OptionsRevision != 2 {
		t.Errorf("names = %q, revision = %d", got.AdditionalNames, got.OptionsRevision)
	}
	s.get(path).want(http.StatusOK, "Issue for the names that are ready").hasNot(
		`name="issue_partial" value="1" checked`)
	partly := form("www.example.com\napi.example.com")
	d = reload()
	partly.Set("issue_partial", "1")
	partly.Set("version", namesVersion(d))
	s.post(path+"/names", partly).to(path)
	if got := reload(); !got.IssuePartial || got.OptionsRevision != 2 {
		t.Errorf("domain = %+v, want issue_partial and revision 2", got)
	}
	s.get(path).has(`name="issue_partial" value="1" checked`)
	// Somebody else changed the names, or the option, since the page was shown.
	s.post(path+"/names", form("other.example.com")).want(http.StatusPreconditionFailed,
		"api.example.com, www.example.com", "other.example.com")
	partly.Del("issue_partial")
	s.post(path+"/names", partly).want(http.StatusPreconditionFailed,
		"Issue for the names that are ready")
	d = reload()
	// An invalid name changes nothing, and the form keeps the input.
	s.post(path+"/names", form("www.example.com\nnodots")).want(http.StatusUnprocessableEntity,
		"nodots").has(">www.example.com\nnodots</textarea>", `id="change-names" open`)
	if got := reload(); got.OptionsRevision != 2 {
		t.Errorf("revision after an invalid form = %d, want 2", got.OptionsRevision)
	}
	// Removing all of them leaves one record.
	s.post(path+"/names", form("")).to(path)
	s.get(path).want(http.StatusOK, "Names saved.", "Any DNS host").hasNot(
		"_acme-challenge.www.example.com")

	reader := controlplane.GitHubAccount{ID: 77, Login: "reader"}
	s.addMember(s.org, reader, controlplane.RoleMember)
	member := s.signedInAs(reader)
	member.get(path).want(http.StatusOK).hasNot(`action="` + path + `/names"`)
	member.post(path+"/names", form("www.example.com")).want(http.StatusForbidden)
}

func TestBrowserSeveralNames(t *testing.T) {
	s := newSite(t)
	b := s.open(1200, 800, false, true)
	b.key(kb.Enter)
	b.run(visible(`#name`))
	b.key("example.com www.example.com *.example.net", kb.Enter)
	b.run(visible(`#record-3`))
	b.checkFits()
	b.checkContrast()
	b.screenshot("several-names")
	d, err := s.store.Domain(t.Context(), s.org.ID, "example.com")
	s.must(err)

	// A check changes the state of a record without a reload.
	b.eventually(`document.getElementById("live-note").textContent.includes("automatically")`)
	s.breakDelegation("www.example.com")
	s.change(d, func(*controlplane.Domain) {})
	b.eventually(`document.getElementById("record-3").textContent.includes("points elsewhere")`)

	b.run(chromedp.Click(`#change-names summary`), visible(`#additional-names`),
		chromedp.SetValue(`#additional-names`, "www.example.com"))
	b.leave(func() { b.run(chromedp.Click(`#change-names button`)) })
	b.eventually(`document.querySelectorAll("#records tbody tr").length === 2`)
	b.checkFits()
}

func TestJobOfADelegation(t *testing.T) {
	s := newSignedIn(t)
	_, _, err := s.life.PinDelegation(t.Context(), controlplane.System("test"), s.org.ID,
		"pinned.example.com", "")
	s.must(err)
	s.get("/jobs").want(http.StatusOK, "pinned.example.com")
}
