package dashboard

import (
	"fmt"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// certificateView has the facts of a certificate.
type certificateView struct {
	ID      string
	URL     string
	Current bool
	Pill    pill
	Facts   []fact
	Issued  moment // not before
	Expires moment
	Renews  moment // zero if no renewal is scheduled
	Bar     bar
	Files   []file
	Serial  string
	Issuer  string
}

// bar is a certificate's lifetime in thousandths: the elapsed share and the time of renewal.
type bar struct {
	Elapsed, Renewal int
	Planned          bool // a renewal is scheduled
	Late             bool // the renewal is late
	Label            string
}

// file is a download.
type file struct{ URL, Label string }

func (v *visit) certificateView(
	c *controlplane.Certificate, d *controlplane.Domain,
) certificateView {
	view := certificateView{ID: c.ID, URL: certificateURL(c.ID), Current: c.ID == d.CertificateID,
		Pill: certificatePill(c, v.now), Serial: c.Serial, Issuer: c.Issuer,
		Issued: v.at(c.NotBefore), Expires: v.at(c.NotAfter)}
	var renewAt time.Time
	if view.Current && d.AutoRenew {
		if renewAt = controlplane.RenewAt(c.NotBefore, c.NotAfter); d.RenewAt != nil {
			renewAt = *d.RenewAt
		}
	}
	view.Renews = v.at(renewAt)
	view.Bar = newBar(c, renewAt, v.now)
	view.Facts = []fact{
		{Name: "Names", Value: strings.Join(c.Names, ", "), Mono: true},
		{Name: "Issuer", Value: c.Issuer},
		{Name: "CA", Value: c.CA},
		{Name: "Key", Value: keyTitle(c.KeyType)},
	}
	if c.Profile != "" {
		view.Facts = append(view.Facts, fact{Name: "Profile", Value: c.Profile})
	}
	view.Facts = append(view.Facts,
		fact{Name: "Serial", Value: c.Serial, Mono: true, Copy: true},
		fact{Name: "SHA-256", Value: c.FingerprintSHA256, Mono: true, Copy: true})
	for _, part := range []struct{ name, word string }{{"fullchain", "Full chain"},
		{"leaf", "Certificate only"}, {"chain", "Intermediates only"}} {
		view.Files = append(view.Files, file{URL: view.URL + "/" + part.name +
			".pem", Label: part.word})
	}
	return view
}

func certificatePill(c *controlplane.Certificate, now time.Time) pill {
	switch {
	case c.RevokedAt != nil:
		return pill{"danger", "cross", "Revoked"}
	case !c.NotAfter.After(now):
		return pill{"danger", "alert", "Expired"}
	case c.ReplacedBy != "":
		return pill{"neutral", "dot", "Replaced"}
	case now.After(controlplane.ExpiryAlarmAt(c.NotBefore, c.NotAfter)):
		return pill{"warn", "alert", "Expiring soon"}
	}
	return pill{"ok", "check", "Valid"}
}

// newBar returns the bar of a certificate. A zero renewal means that none is scheduled.
func newBar(c *controlplane.Certificate, renewal, now time.Time) bar {
	share := func(t time.Time) int {
		life := c.NotAfter.Sub(c.NotBefore)
		if life <= 0 {
			return 1000
		}
		return int(min(max(t.Sub(c.NotBefore)*1000/life, 0), 1000))
	}
	b := bar{Elapsed: share(now)}
	b.Label = fmt.Sprintf("%d%% of the lifetime has elapsed.", b.Elapsed/10)
	if !renewal.IsZero() {
		b.Planned, b.Renewal, b.Late = true, share(renewal),
			now.After(controlplane.RenewalLateAt(c.NotBefore, c.NotAfter))
		b.Label = fmt.Sprintf("%d%% of the lifetime has elapsed; renewal at %d%%.", b.Elapsed/10,
			b.Renewal/10)
	}
	return b
}
