package dashboard

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

func TestNoJobsYet(t *testing.T) {
	s := newSignedIn(t)
	s.get("/jobs").want(http.StatusOK, "No jobs yet", "Check the DNS record example.com Waiting", "Add a domain").
		has(`href="/jobs" aria-current="true"`).hasNot("<table", "<select")
	s.join(s.org, reader, controlplane.RoleMember)
	s.again(reader).get("/jobs").want(http.StatusOK, "Go to the domains").hasNot("Add a domain")
}

func TestListOfJobs(t *testing.T) {
	s := newSignedIn(t)
	dead := s.kill(s.add(s.org, "dead.example.com"))
	waits := s.add(s.org, "waits.example.com")
	s.add(s.newOrg("Other Ltd"), "foreign.example.com")
	all := s.get("/jobs").want(http.StatusOK, "Check the DNS record waits.example.com Waiting", "Next try now",
		"Check the DNS record dead.example.com Gave up Failed more than three times 1 of 4 failed No resolver could be asked.", "Ended").
		has(`href="/domains/`+waits.ID+`"`, `action="/jobs/`+dead.ID+`/retry"`, `aria-label="Retry: Check the DNS record, dead.example.com"`).
		hasNot("foreign.example.com")
	if strings.Index(all.text, "waits.example.com") > strings.Index(all.text, "dead.example.com") {
		t.Error("the newest is not first")
	}
	for query, want := range map[string]string{
		"status=failed": "dead.example.com", "domain=dead.example.com": "dead.example.com", "domain=" + dead.DomainID: "dead.example.com",
		"status=queued": "waits.example.com", "type=dns_check&domain=WAITS.example.com.": "waits.example.com",
	} {
		a := s.get("/jobs?" + query).want(http.StatusOK)
		for _, name := range []string{"dead.example.com", "waits.example.com"} {
			if got := strings.Contains(a.body, `<a class="mono" href="/domains/`) && strings.Contains(a.body, ">"+name+"</a>"); got != (name == want) {
				t.Errorf("%s: that it shows %s is %v", query, name, got)
			}
		}
	}
	s.get("/jobs?status=failed").has(`href="/jobs?status=failed" aria-current="true"`)
	s.get("/jobs?type=renewal").want(http.StatusOK, "No job matches", "Show all jobs").has(`<option value="renewal" selected>`)
}

func TestListOfJobsThatAreNot(t *testing.T) {
	s := newSignedIn(t)
	other := s.add(s.newOrg("Other Ltd"), "foreign.example.com")
	for _, query := range []string{"status=gone", "type=secret", "cursor=abc", "cursor=" + strings.Repeat("A", 80)} {
		s.get("/jobs?"+query).want(http.StatusBadRequest, "again")
	}
	for _, domain := range []string{"foreign.example.com", other.ID, "dom_x", "nothing.example.com", `"><script>alert(1)</script>`, "\x00"} {
		s.get("/jobs?"+url.Values{"domain": {domain}}.Encode()).want(http.StatusNotFound, "This organization has no such domain.").
			has(`aria-describedby="domain-error"`).hasNot("<script>alert")
	}
	s.browser().get("/jobs?status=failed").to(signInTo("/jobs?status=failed"))
}

func TestRetryFromTheList(t *testing.T) {
	s := newSignedIn(t)
	d := s.add(s.org, "example.com")
	j := s.kill(d)
	s.join(s.org, reader, controlplane.RoleMember)
	member := s.again(reader)
	member.get("/jobs").want(http.StatusOK, "Gave up").hasNot("/retry")
	member.post("/jobs/"+j.ID+"/retry", nil).want(http.StatusForbidden)

	s.get("/jobs?status=failed").has(`name="list" value="status=failed"`)
	s.post("/jobs/"+j.ID+"/retry", url.Values{"list": {"status=failed"}}).to("/jobs?status=failed")
	s.get("/jobs?status=failed").want(http.StatusOK, "The job starts afresh", "No job matches")
	s.post("/jobs/"+j.ID+"/retry", url.Values{"list": {""}}).to("/jobs")
	s.get("/jobs").want(http.StatusOK, "That work is under way already")
	s.post("/jobs/"+j.ID+"/retry", url.Values{"list": {"status=//evil.example&x=y"}}).to("/jobs")
	s.post("/jobs/"+j.ID+"/retry", url.Values{"list": {"%zz"}}).to("/jobs")
}

func TestHostileWordsOfAJob(t *testing.T) {
	s := newSignedIn(t)
	d := s.add(s.org, "example.com")
	j, err := s.store.OpenJob(t.Context(), s.org.ID, d.ID, "check")
	s.must(err)
	claim, err := s.store.ClaimJob(t.Context(), j.ID, j.Generation, "w", time.Minute, time.Now())
	s.must(err)
	s.must(s.store.InTx(t.Context(), func(tx *postgres.Tx) error {
		return tx.DeadLetterJob(t.Context(), claim, time.Now(), "ca-rejected", "<script>alert(1)</script>", []byte(`{"detail":"</pre><script>alert(2)"}`))
	}))
	s.get("/jobs").want(http.StatusOK, "In the CA’s own words", "<script>alert(1)</script>").hasNot("<script>alert")
}

func TestPagesOfJobs(t *testing.T) {
	s := newSignedIn(t)
	s.org = s.bigOrg(200)
	s.join(s.org, developer, controlplane.RoleOwner)
	s.post("/organizations/"+s.org.ID+"/switch", nil).to("/domains")
	for i := range jobsPerPage + 3 {
		s.add(s.org, fmt.Sprintf("d%03d.example.com", i))
	}
	first := s.get("/jobs?status=queued").want(http.StatusOK, "d052.example.com", "d003.example.com", "Next page").hasNot("d002.example.com", "First page")
	_, link, _ := strings.Cut(first.body, `href="/jobs?cursor=`)
	link, _, _ = strings.Cut(link, `"`)
	link = "/jobs?cursor=" + strings.ReplaceAll(link, "&amp;", "&")
	s.get(link).want(http.StatusOK, "d002.example.com", "d000.example.com", "First page").hasNot("d003.example.com", "Next page")
	s.get(strings.Replace(link, "queued", "failed", 1)).want(http.StatusBadRequest)
}
