package dashboard

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gorilla/mux"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// recordsView has the records of a domain with several names, with the state of each.
type recordsView struct {
	Rows []recordRow
	// The records as a file
	ZoneURL, CSVURL string
}

// recordRow is one of the records to create.
type recordRow struct {
	ID           string // of the row
	Name, Target string
	Names        string // in the certificate, whose control the record proves
	Pill         pill
	Message, Fix string // of a broken delegation
}

// recordsView returns the records of a domain, in the order of its names.
func (d *Dashboard) recordsView(
	ctx context.Context, v *visit, domain *controlplane.Domain,
) (*recordsView, error) {
	delegations, err := d.delegations(ctx, v.org.ID, domain)
	if err != nil {
		return nil, err
	}
	view := &recordsView{ZoneURL: "/domains/" + domain.ID + "/records.zone",
		CSVURL: "/domains/" + domain.ID + "/records.csv"}
	for i := range delegations {
		g := &delegations[i]
		record := d.lifecycle.RecordOf(g)
		row := recordRow{ID: "record-" + strconv.Itoa(i+1), Name: record.Name,
			Target: record.Target, Names: provenNames(domain, g.Name), Pill: delegationPill(g)}
		if g.State == controlplane.DelegationBroken && g.Diagnosis != nil {
			row.Message, row.Fix = g.Diagnosis.Summary, g.Diagnosis.Fix
		}
		view.Rows = append(view.Rows, row)
	}
	return view, nil
}

// delegations returns the delegations of a domain, in the order of its names.
func (d *Dashboard) delegations(
	ctx context.Context, orgID string, domain *controlplane.Domain,
) ([]controlplane.Delegation, error) {
	found, _, err := d.store.ListDelegations(ctx, orgID, postgres.DelegationFilter{
		DomainIDs: []string{domain.ID}, Sort: "name", Limit: rules.MaxNames})
	if err != nil {
		return nil, err
	}
	first := slices.IndexFunc(found,
		func(g controlplane.Delegation) bool { return g.Name == domain.Name })
	if first > 0 {
		own := found[first]
		found = slices.Insert(slices.Delete(found, first, first+1), 0, own)
	}
	return found, nil
}

// provenNames returns the names of a domain's certificate whose control a delegation proves.
func provenNames(d *controlplane.Domain, base string) string {
	var names []string
	for _, name := range d.Names() {
		if rules.BaseName(name) == base {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// delegationPill returns the state of a delegation.
func delegationPill(g *controlplane.Delegation) pill {
	switch {
	case g.State == controlplane.DelegationVerified:
		return pill{"ok", "check", controlplane.ConditionKindOf(controlplane.DNSReady).True}
	case g.State == controlplane.DelegationUnchecked || g.Diagnosis == nil:
		return pill{"warn", "clock", "Not yet"}
	case entryOf(g.Diagnosis.Code).Pending:
		return pill{"warn", "clock", reason(g.Diagnosis.Code)}
	}
	return pill{"danger", "alert", reason(g.Diagnosis.Code)}
}

// downloadRecords responds with the records of a domain: lines of a zone file, or CSV.
func (d *Dashboard) downloadRecords(w http.ResponseWriter, v *visit) error {
	domain, err := d.domain(v)
	if err != nil {
		return err
	}
	delegations, err := d.delegations(v.Context(), v.org.ID, domain)
	if err != nil {
		return err
	}
	records := make([]controlplane.Record, len(delegations))
	for i := range delegations {
		records[i] = d.lifecycle.RecordOf(&delegations[i])
	}
	name := "acme-challenge-" + domain.Name
	if mux.Vars(v.Request)["format"] == "csv" {
		serveAttachment(w, "text/csv; charset=utf-8", name+".csv", recordsCSV(records))
		return nil
	}
	serveAttachment(w, "text/dns; charset=utf-8", name+".zone", recordsZone(records))
	return nil
}

// recordsCSV returns records as CSV (RFC 4180) with a header.
func recordsCSV(records []controlplane.Record) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.Write([]string{"zone", "name", "type", "ttl", "value"}) // a bytes.Buffer has no errors
	for _, r := range records {
		_ = w.Write([]string{recordZone(r), r.Name, r.Type, strconv.Itoa(recordTTL), r.Target})
	}
	w.Flush()
	return b.Bytes()
}

// recordsZone returns records as lines of master files (RFC 1035 §5), grouped by zone.
func recordsZone(records []controlplane.Record) []byte {
	var zones []string
	lines := map[string][]string{}
	for _, r := range records {
		zone := recordZone(r)
		if lines[zone] == nil {
			zones = append(zones, zone)
		}
		lines[zone] = append(lines[zone],
			fmt.Sprintf("%s. %d IN %s %s.\n", r.Name, recordTTL, r.Type, r.Target))
	}
	var b bytes.Buffer
	for _, zone := range zones {
		fmt.Fprintf(&b, "; Zone %s\n%s", zone, strings.Join(lines[zone], ""))
	}
	return b.Bytes()
}

// recordZone returns the registered domain of a record, which usually is its zone.
func recordZone(r controlplane.Record) string {
	_, base, _ := strings.Cut(r.Name, ".")
	return controlplane.RegisteredDomain(base)
}
