package controlplane

import (
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// EventTypes returns the types of events that a webhook can choose from: every action of the
// log whose first word is among EventKinds.
func EventTypes() []string {
	return []string{
		ActionDomainCreated, ActionDomainUpdated, ActionDomainDeleted, ActionDNSVerified, ActionDelegationBroken, ActionDelegationTimeout,
		ActionCertificateIssued, ActionRenewed, ActionCertificateEnding, ActionCertificateEnded, ActionRenewalFailed, ActionIssuanceFailed,
		ActionCheckRequested, ActionIssueRequested, ActionRenewRequested, ActionOrderCreated, ActionOrderFailed,
		ActionRevokeRequested, ActionRevoked, ActionKeyDownloaded,
		ActionJobWaiting, ActionJobDeadLettered, ActionJobRetried,
		ActionWebhookCreated, ActionWebhookUpdated, ActionWebhookDeleted, ActionWebhookRotated, ActionWebhookRedelivered, ActionWebhookDisabled,
	}
}

// NearestEvent returns the type of event that s was most likely meant to be.
func NearestEvent(s string) string {
	return slices.MinFunc(EventTypes(), func(a, b string) int { return distance(s, a) - distance(s, b) })
}

// distance returns how many characters have to be changed, added or removed to make b of a
// (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// EventData returns what an event says beside its type: the details, the id of the object
// that it happened to, and what that was and became.
func (a *AuditEntry) EventData() map[string]any {
	data := make(map[string]any, len(a.Details)+3)
	maps.Copy(data, a.Details)
	if a.EntityType != "" {
		data[a.EntityType+"_id"] = a.EntityID
	}
	if a.Before != nil {
		data["before"] = a.Before
	}
	if a.After != nil {
		data["after"] = a.After
	}
	return data
}

// eventPayload is an event as webhooks receive it, the API's Event.
type eventPayload struct {
	ID        string         `json:"id"`
	Type      string         `json:"type"`
	Timestamp time.Time      `json:"timestamp"`
	OrgID     string         `json:"organization_id"`
	Actor     eventActor     `json:"actor"`
	Data      map[string]any `json:"data"`
}

type eventActor struct {
	Type ActorType `json:"type"`
	ID   string    `json:"id"`
}

// Payload returns the entry as the JSON that webhooks receive, without the caller's IP address.
func (a *AuditEntry) Payload() ([]byte, error) {
	return json.Marshal(eventPayload{ID: a.ID, Type: a.Action, Timestamp: a.CreatedAt.UTC(), OrgID: a.OrgID,
		Actor: eventActor{Type: a.Actor.Type, ID: a.Actor.ID}, Data: a.EventData()})
}
