package dashboard

import (
	"encoding/json"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// eventView is an entry of the audit log in a domain's timeline.
type eventView struct {
	ID      string
	Title   string
	Tint    string
	Icon    string
	Actor   string
	At      moment
	Text    string // the error, or the reason for waiting
	Until   moment // scheduled time of the retry
	Details string // recorded details as JSON, or empty
}

// eventTints has the tint and icon of important actions.
var eventTints = map[string]struct{ tint, icon string }{
	controlplane.ActionDomainCreated:     {"info", "plus"},
	controlplane.ActionDNSVerified:       {"ok", "check"},
	controlplane.ActionCertificateIssued: {"ok", "check"},
	controlplane.ActionRenewed:           {"ok", "check"},
	controlplane.ActionDelegationBroken:  {"warn", "alert"},
	controlplane.ActionDelegationTimeout: {"danger", "alert"},
	controlplane.ActionRenewalFailed:     {"danger", "alert"},
	controlplane.ActionIssuanceFailed:    {"danger", "alert"},
	controlplane.ActionOrderFailed:       {"warn", "alert"},
	controlplane.ActionOrderSetAside:     {"neutral", "clock"},
	controlplane.ActionRevoked:           {"warn", "cross"},
	controlplane.ActionJobWaiting:        {"neutral", "clock"},
	controlplane.ActionJobDeadLettered:   {"danger", "alert"},
}

func (v *visit) eventView(a *controlplane.AuditEntry, names names) eventView {
	view := eventView{ID: a.ID, Title: actionTitle(a.Action),
		Tint: "neutral", Icon: "dot", Actor: names.actor(a.Actor), At: v.at(a.CreatedAt),
		Text: entryText(a)}
	if t, ok := eventTints[a.Action]; ok {
		view.Tint, view.Icon = t.tint, t.icon
	}
	if a.Action == controlplane.ActionJobWaiting {
		at, _ := a.Details["run_at"].(string)
		if until, err := time.Parse(time.RFC3339, at); err == nil {
			view.Until = v.at(until)
		}
	}
	kept := map[string]any{}
	for name, part := range map[string]map[string]any{"before": a.Before, "after": a.After,
		"details": a.Details} {
		if len(part) > 0 {
			kept[name] = part
		}
	}
	if len(kept) > 0 {
		if b, err := json.MarshalIndent(kept, "", "  "); err == nil {
			view.Details = string(b)
		}
	}
	return view
}

// entryText returns the detail or the reason in an entry, or "".
func entryText(a *controlplane.AuditEntry) string {
	if detail, _ := a.Details["detail"].(string); detail != "" {
		return detail
	}
	if why, _ := a.Details["reason"].(string); a.Action == controlplane.ActionOrderCreated {
		return reason(why)
	}
	code, _ := a.Details["code"].(string)
	return reason(code)
}
