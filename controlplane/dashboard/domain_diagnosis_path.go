package dashboard

import (
	"cmp"
	"slices"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// overTCP ends the source of an answer that a name server gave over TCP.
const overTCP = " over TCP"

// pathRow is the path of CNAMEs from a challenge name, as one server shows it to one type of query.
type pathRow struct {
	Server  string
	Network string // HTTPS, UDP, or TCP
	Type    string // TXT, which CAs query, or CNAME
	Pill    pill
	Path    string // from the challenge name; empty without a CNAME
	Note    string // RCODE, and why it failed
}

// pathRows returns the paths from a record's name, those of resolvers first. A path that CNAME
// queries show is included if it differs from the one that TXT queries show.
func pathRows(all []controlplane.Observation, record controlplane.Record) []pathRow {
	var rows []pathRow
	txt := map[string]pathRow{} // by server
	for _, qtype := range []string{"TXT", "CNAME"} {
		for _, o := range all {
			if o.Name != record.Name || o.Type != qtype {
				continue
			}
			row := newPathRow(o, all, record)
			if qtype == "TXT" {
				txt[row.Server] = row
			} else if row.Pill == txt[row.Server].Pill && row.Path == txt[row.Server].Path {
				continue
			}
			rows = append(rows, row)
		}
	}
	slices.SortStableFunc(rows, func(a, b pathRow) int {
		return cmp.Or(cmp.Compare(order(a), order(b)), strings.Compare(a.Server, b.Server))
	})
	return rows
}

// order is 0 for resolvers, which are listed first, and 1 for name servers.
func order(r pathRow) int {
	if r.Network == "HTTPS" {
		return 0
	}
	return 1
}

func newPathRow(
	o controlplane.Observation, all []controlplane.Observation, record controlplane.Record,
) pathRow {
	row := pathRow{Server: o.Source, Network: "UDP", Type: o.Type}
	if server, ok := strings.CutSuffix(o.Source, overTCP); ok {
		row.Server, row.Network = server, "TCP"
	} else if strings.Contains(o.Source, "://") {
		row.Network = "HTTPS"
	}
	path, last := cnamePath(o, all, record.Target)
	if len(path) > 1 {
		row.Path = strings.Join(path, " → ")
	}
	if row.Note = last.Error; last.RCode != "" && last.RCode != "NOERROR" {
		row.Note = strings.TrimSuffix(last.RCode+": "+last.Error, ": ")
	}
	row.Pill = pathPill(path, last, record.Target)
	return row
}

// cnamePath returns the path that an answer starts, and the last answer about it. A name server
// knows only its own zone, so the resolvers show the rest.
func cnamePath(
	o controlplane.Observation, all []controlplane.Observation, target string,
) (path []string, last controlplane.Observation) {
	path, last = slices.Clone(o.Path), o
	if len(path) == 0 {
		path = []string{o.Name}
	}
	for range len(all) {
		at := path[len(path)-1]
		i := slices.IndexFunc(all, func(next controlplane.Observation) bool {
			return next.Name == at && next.Type == o.Type && next.Source == o.Source
		})
		if i < 0 {
			i = slices.IndexFunc(all, func(next controlplane.Observation) bool {
				return next.Name == at && next.Type == o.Type && strings.Contains(next.Source, "://")
			})
		}
		if at == target || at == o.Name || i < 0 {
			break
		}
		last = all[i]
		if len(last.Path) < 2 || slices.Contains(path, last.Path[1]) {
			break
		}
		path = append(path, last.Path[1:]...)
	}
	return path, last
}

// pathPill returns the state of a path.
func pathPill(path []string, last controlplane.Observation, target string) pill {
	has := func(qtype string) bool {
		return slices.ContainsFunc(last.Answer, func(record string) bool {
			return strings.HasPrefix(record, path[0]+". ") &&
				strings.Contains(record, " IN "+qtype+" ")
		})
	}
	switch {
	case slices.Contains(path, target):
		return pill{"ok", "check", controlplane.ConditionKindOf(controlplane.DNSReady).True}
	case last.RCode == "":
		return pill{"danger", "cross", "No answer"}
	case last.RCode != "NOERROR" && last.RCode != "NXDOMAIN", last.Error != "":
		return pill{"danger", "cross", "Lookup failed"}
	case len(path) > 1:
		return reasonPill(controlplane.CauseCNAMEMismatch)
	case has("CNAME"):
		return reasonPill(controlplane.CauseCNAMEMultiple)
	case has("TXT"):
		return reasonPill(controlplane.CauseTXTConflict)
	}
	return reasonPill(controlplane.CauseCNAMEMissing)
}
