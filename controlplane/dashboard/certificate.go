package dashboard

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// certificateView is one certificate's facts.
type certificateView struct {
	ID       string
	Current  bool
	Pill     pill
	Facts    []fact
	Issued   moment // not before
	Expires  moment
	Renews   moment
	Bar      bar
	Files    []file
	Serial   string
	Issuer   string
	Replaced bool
}

// bar is a certificate's life, in thousandths: how much is over, and where the renewal is.
type bar struct {
	Elapsed, Renewal int
	Late             bool // the renewal is overdue
	Words            string
}

// file is something to download.
type file struct{ URL, Word string }

func (v *visit) certificateView(c *controlplane.Certificate, d *controlplane.Domain) certificateView {
	view := certificateView{ID: c.ID, Current: c.ID == d.CertificateID, Pill: certificatePill(c, v.now), Serial: c.Serial, Issuer: c.Issuer,
		Issued: v.at(c.NotBefore), Expires: v.at(c.NotAfter), Replaced: c.ReplacedBy != ""}
	renewAt := controlplane.RenewAt(c.NotBefore, c.NotAfter)
	if view.Current && d.RenewAt != nil {
		renewAt = *d.RenewAt
	}
	if d.AutoRenew {
		view.Renews = v.at(renewAt)
	}
	view.Bar = newBar(c.NotBefore, c.NotAfter, renewAt, v.now)
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
	for _, part := range []struct{ name, word string }{{"fullchain", "Full chain"}, {"leaf", "Certificate only"}, {"chain", "Intermediates only"}} {
		view.Files = append(view.Files, file{URL: "/certificates/" + c.ID + "/" + part.name + ".pem", Word: part.word})
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
		return pill{"warn", "alert", "Expires soon"}
	}
	return pill{"ok", "check", "Valid"}
}

func newBar(from, to, renewal, now time.Time) bar {
	share := func(t time.Time) int {
		life := to.Sub(from)
		if life <= 0 {
			return 1000
		}
		return int(min(max(t.Sub(from)*1000/life, 0), 1000))
	}
	b := bar{Elapsed: share(now), Renewal: share(renewal), Late: now.After(renewal.Add(24 * time.Hour))}
	b.Words = fmt.Sprintf("%d %% of its life is over; it is renewed at %d %%.", b.Elapsed/10, b.Renewal/10)
	return b
}

// downloadCertificate gives out a certificate's public parts as PEM.
func (d *Dashboard) downloadCertificate(w http.ResponseWriter, v *visit) error {
	id, part := mux.Vars(v.Request)["certificate"], mux.Vars(v.Request)["part"]
	if !controlplane.IsID(controlplane.PrefixCertificate, id) {
		return controlplane.NotFound("certificate", id)
	}
	c, err := d.store.Certificate(v.Context(), v.org.ID, id)
	if err != nil {
		return err
	}
	name := c.ID
	if len(c.Names) > 0 {
		name = strings.Replace(c.Names[0], "*", "wildcard", 1)
	}
	w.Header().Set("Content-Type", "application/x-pem-file")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+"-"+part+`.pem"`)
	_, _ = w.Write([]byte(partOf(c.ChainPEM, part)))
	return nil
}

// partOf returns the leaf of a chain, the rest of it, or all.
func partOf(chain, part string) string {
	_, rest := pem.Decode([]byte(chain))
	switch part {
	case "leaf":
		return chain[:len(chain)-len(rest)]
	case "chain":
		return string(rest)
	}
	return chain
}
