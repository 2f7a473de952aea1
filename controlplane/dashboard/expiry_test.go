package dashboard

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

func TestNoCertificates(t *testing.T) {
	s := newSignedIn(t)
	s.add(s.org, "example.com")
	s.issue(s.add(s.newOrg("Other Ltd"), "foreign.example.com"))
	s.get("/expiry").want(http.StatusOK, "No certificates yet",
		"Add a domain").has(`href="/expiry" aria-current="true"`).hasNot("<svg class=\"weeks\"",
		"foreign.example.com")
	s.addMember(s.org, reader, controlplane.RoleMember)
	s.signedInAs(reader).get("/expiry").want(http.StatusOK, "Go to domains").hasNot("Add a domain")
	s.newVisitor().get("/expiry").to(signInTo("/expiry"))
}

func TestExpiry(t *testing.T) {
	s := newSignedIn(t)
	well, late, hand := s.add(s.org, "well.example.com"), s.add(s.org, "late.example.com"),
		s.add(s.org, "hand.example.com")
	s.add(s.org, "none.example.com")
	now := time.Now().UTC().Truncate(time.Second)
	s.issue(well)
	s.get("/expiry").want(http.StatusOK,
		"1 certificate expires in the next 26 weeks unless renewed. No renewal is late.").hasNot(
		`class="late"`)
	for _, d := range []*controlplane.Domain{late, hand} {
		s.storeCertificate(d, newCertificate(t, d, now.Add(-80*24*time.Hour),
			now.Add(10*24*time.Hour)))
	}
	s.change(late, func(d *controlplane.Domain) { // the renewal failed, and a retry is scheduled
		again := now.Add(20 * time.Hour)
		d.RenewAt = &again
		d.SetCondition(controlplane.Condition{Type: controlplane.RenewalOnTrack,
			Status: "false", Reason: "ca-unreachable", Message: "The CA does not answer.",
			NextCheckAt: &again})
	})
	s.change(hand, func(d *controlplane.Domain) { d.AutoRenew, d.RenewAt = false, nil })
	a := s.get("/expiry").want(http.StatusOK,
		"3 certificates expire in the next 26 weeks unless renewed. 1 renewal is late.",
		"Expires, renewal late", "late.example.com At risk Renewal late CA unreachable").
		has(`class="late"`, `class="ends"`, `class="renewals"`,
			`role="img" aria-label="Expiring certificates and due renewals`, `href="/domains/`+
				well.ID+`"`).hasNot("none.example.com")
	if strings.Count(a.text, "Renewal late") != 2 { // in the heading and at one domain
		t.Errorf("“Renewal late” is shown %d times, want 2:\n%s",
			strings.Count(a.text, "Renewal late"), a.text)
	}
	if strings.Index(a.text, "late.example.com") > strings.Index(a.text, "well.example.com") {
		t.Error("the certificate that expires soonest is not first")
	}
	s.exec(`UPDATE organizations SET domain_count = $2 WHERE id = $1`, s.org.ID,
		controlplane.CountedLive+1)
	s.get("/expiry").want(http.StatusOK, "1 renewal is late.").hasNot("Counted")
	s.exec(`UPDATE organization_counts SET counted_at = counted_at - interval '2 minutes'`)
	s.get("/expiry").want(http.StatusOK, "1 renewal is late. Counted 2 min ago")
	s.get("/domains/" + late.ID).has(`<rect class="late"`)
	s.get("/domains/"+hand.ID).has(`<rect class="elapsed"`).hasNot(`<rect class="late"`,
		`<rect class="mark"`)
}

func TestChart(t *testing.T) {
	t.Parallel()
	week := func(n int) *int { return &n }
	begin := time.Date(2026, 11, 16, 0, 0, 0, 0, time.UTC)
	view := newExpiryView([]postgres.EndingWeek{
		{Ends: 0, Renews: week(0), Ended: true, Late: true, Count: 1},
		{Ends: 12, Renews: week(8), Count: 100_000}, {Ends: 13, Count: 50_000},
		{Ends: 26, Renews: week(25), Count: 1},
	}, begin)
	if view.Certificates != 150_002 || view.Late != 1 || view.Chart.Highest != 100_000 {
		t.Errorf("newExpiryView = %+v, want 150,002 certificates, 1 late, and 100,000 as the highest bar", view)
	}
	words := []string{"This week or earlier", "Week of 11 Jan 2027", "Week of 8 Feb 2027",
		"Week of 15 Feb 2027", "Week of 10 May 2027", "Later"}
	for i, w := range view.Weeks {
		if w.Label != words[i] {
			t.Errorf("label of week %d = %q, want %q", i, w.Label, words[i])
		}
	}
	for _, b := range view.Chart.Bars {
		if b.X < 0 || b.X+b.Width > view.Chart.Width || b.Y < 0 || b.Height < 1 ||
			b.Y+b.Height != view.Chart.Height {
			t.Errorf("bar %+v is outside the chart", b)
		}
	}
	if n := len(view.Chart.Bars); n != 6 {
		t.Errorf("len(Chart.Bars) = %d, want 6", n)
	}
}
