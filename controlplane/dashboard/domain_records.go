package dashboard

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/gorilla/mux"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
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
func (d *Dashboard) recordsView(domain *controlplane.Domain) *recordsView {
	view := &recordsView{ZoneURL: "/domains/" + domain.ID + "/records.zone",
		CSVURL: "/domains/" + domain.ID + "/records.csv"}
	waits := map[string]controlplane.NameStatus{} // for a connection that creates the record
	for _, n := range domain.NotReady(domain.Condition(controlplane.DNSReady)) {
		if n.Reason.IsOfRecord() {
			waits[n.Name] = n
		}
	}
	for i, base := range domain.Bases() {
		record, result := d.lifecycle.DelegationAt(domain, base), domain.Delegations[base]
		row := recordRow{ID: "record-" + strconv.Itoa(i+1), Name: record.Name,
			Target: record.Target, Names: provenNames(domain, base), Pill: delegationPill(result)}
		if cause := result.Cause(); cause != nil {
			row.Message, row.Fix = cause.Summary, cause.Fix
		}
		if n, ok := waits[base]; ok {
			row.Pill, row.Message = reasonPill(n.Reason), n.Message
			row.Fix = cmp.Or(entryOf(n.Reason).DashboardFix, n.Fix)
		}
		view.Rows = append(view.Rows, row)
	}
	return view
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
func delegationPill(result controlplane.DelegationResult) pill {
	cause := result.Cause()
	switch {
	case result.State == controlplane.DelegationVerified:
		return pill{"ok", "check", controlplane.ConditionKindOf(controlplane.DNSReady).True}
	case cause == nil:
		return pill{"warn", "clock", "Not yet"}
	}
	return reasonPill(cause.Code)
}

// reasonPill returns the pill of a name that is not ready.
func reasonPill[T ~string](code T) pill {
	if entryOf(code).Pending {
		return pill{"warn", "clock", reason(code)}
	}
	return pill{"danger", "alert", reason(code)}
}

// downloadRecords responds with the records of a domain: lines of a zone file, or CSV.
func (d *Dashboard) downloadRecords(w http.ResponseWriter, v *visit) error {
	domain, err := d.domain(v)
	if err != nil {
		return err
	}
	var records []controlplane.Record
	for _, base := range domain.Bases() {
		records = append(records, d.lifecycle.DelegationAt(domain, base))
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
