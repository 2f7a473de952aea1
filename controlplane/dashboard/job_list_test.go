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

func TestNoJobs(t *testing.T) {
	s := newSignedIn(t)
	s.get("/jobs").want(http.StatusOK, "No jobs yet", "Check the DNS record example.com Queued",
		"Add a domain").
		has(`href="/jobs" aria-current="true"`).hasNot("<table", "<select")
	s.addMember(s.org, reader, controlplane.RoleMember)
	s.signedInAs(reader).get("/jobs").want(http.StatusOK, "Go to domains").hasNot("Add a domain")
}

func TestJobList(t *testing.T) {
	s := newSignedIn(t)
	dead := s.deadLetter(s.add(s.org, "dead.example.com"))
	waits := s.add(s.org, "waits.example.com")
	s.add(s.newOrg("Other Ltd"), "foreign.example.com")
	all := s.get("/jobs").want(http.StatusOK, "Check the DNS record waits.example.com Queued",
		"Next attempt due now",
		"Check the DNS record dead.example.com Dead-lettered All attempts failed 1 of 4 attempts failed No resolver could be asked.", "Finished").
		has(`href="/domains/`+waits.ID+`"`, `action="/jobs/`+dead.ID+`/retry"`,
			`aria-label="Retry: Check the DNS record, dead.example.com"`).
		hasNot("foreign.example.com")
	if strings.Index(all.text, "waits.example.com") > strings.Index(all.text, "dead.example.com") {
		t.Error("the newest job is not first")
	}
	for query, want := range map[string]string{
		"status=failed": "dead.example.com", "domain=dead.example.com": "dead.example.com",
		"domain=" + dead.DomainID:                  "dead.example.com",
		"status=queued":                            "waits.example.com",
		"type=dns_check&domain=WAITS.example.com.": "waits.example.com",
	} {
		a := s.get("/jobs?" + query).want(http.StatusOK)
		for _, name := range []string{"dead.example.com", "waits.example.com"} {
			if got := strings.Contains(a.body, `<a class="mono" href="/domains/`) &&
				strings.Contains(a.body, ">"+name+"</a>"); got != (name == want) {
				t.Errorf("GET /jobs?%s shows %s: %v, want the opposite", query, name, got)
			}
		}
	}
	s.get("/jobs?status=failed").has(`href="/jobs?status=failed" aria-current="true"`)
	s.get("/jobs?type=renewal").want(http.StatusOK, "No jobs match",
		"Show all jobs").has(`<option value="renewal" selected>`)
}

func TestInvalidJobFilters(t *testing.T) {
	s := newSignedIn(t)
	other := s.add(s.newOrg("Other Ltd"), "foreign.example.com")
	for _, query := range []string{"status=gone", "type=secret", "cursor=abc", "cursor=" +
		strings.Repeat("A", 80)} {
		s.get("/jobs?" + query).want(http.StatusBadRequest)
	}
	for _, domain := range []string{"foreign.example.com", other.ID, "dom_x", "nothing.example.com",
		`"><script>alert(1)</script>`, "\x00"} {
		s.get("/jobs?"+url.Values{"domain": {domain}}.Encode()).want(http.StatusNotFound,
			"Domain not found in this organization.").
			has(`aria-describedby="domain-error"`).hasNot("<script>alert")
	}
	s.newVisitor().get("/jobs?status=failed").to(signInTo("/jobs?status=failed"))
}

func TestRetryFromJobList(t *testing.T) {
	s := newSignedIn(t)
	d := s.add(s.org, "example.com")
	j := s.deadLetter(d)
	s.addMember(s.org, reader, controlplane.RoleMember)
	member := s.signedInAs(reader)
	member.get("/jobs").want(http.StatusOK, "Dead-lettered").hasNot("/retry")
	member.post("/jobs/"+j.ID+"/retry", nil).want(http.StatusForbidden)

	s.get("/jobs?status=failed").has(`name="list" value="status=failed"`)
	s.post("/jobs/"+j.ID+"/retry", url.Values{"list": {"status=failed"}}).to("/jobs?status=failed")
	s.get("/jobs?status=failed").want(http.StatusOK, "Job restarted with all attempts",
		"No jobs match")
	s.post("/jobs/"+j.ID+"/retry", url.Values{"list": {""}}).to("/jobs")
	s.get("/jobs").want(http.StatusOK, "The job is already in progress")
	s.post("/jobs/"+j.ID+"/retry", url.Values{"list": {"status=//evil.example&x=y"}}).to("/jobs")
	s.post("/jobs/"+j.ID+"/retry", url.Values{"list": {"%zz"}}).to("/jobs")
}

func TestHostileJobError(t *testing.T) {
	s := newSignedIn(t)
	d := s.add(s.org, "example.com")
	j, err := s.store.OpenJob(t.Context(), s.org.ID, d.ID, "check")
	s.must(err)
	claim, err := s.store.ClaimJob(t.Context(), j.ID, j.Generation, "w", time.Minute, time.Now())
	s.must(err)
	s.must(s.store.InTx(t.Context(), func(tx *postgres.Tx) error {
		return tx.DeadLetterJob(t.Context(), claim, time.Now(), "ca-rejected",
			"<script>alert(1)</script>", []byte(`{"detail":"</pre><script>alert(2)"}`))
	}))
	s.get("/jobs").want(http.StatusOK, "CA error details",
		"<script>alert(1)</script>").hasNot("<script>alert")
}

func TestJobListPages(t *testing.T) {
	s := newSignedIn(t)
	s.org = s.bigOrg(200)
	s.addMember(s.org, developer, controlplane.RoleOwner)
	s.post("/organizations/"+s.org.ID+"/switch", nil).to("/domains")
	for i := range jobsPerPage + 3 {
		s.add(s.org, fmt.Sprintf("d%03d.example.com", i))
	}
	first := s.get("/jobs?status=queued").want(http.StatusOK, "d052.example.com",
		"d003.example.com", "Next page").hasNot("d002.example.com", "First page")
	_, link, _ := strings.Cut(first.body, `href="/jobs?cursor=`)
	link, _, _ = strings.Cut(link, `"`)
	link = "/jobs?cursor=" + strings.ReplaceAll(link, "&amp;", "&")
	s.get(link).want(http.StatusOK, "d002.example.com", "d000.example.com",
		"First page").hasNot("d003.example.com", "Next page")
	s.get(strings.Replace(link, "queued", "failed", 1)).want(http.StatusBadRequest)
}
