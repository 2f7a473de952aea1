package controlplane

import (
	"encoding/json"
	"maps"
	"time"
)

// event is an audit entry as webhooks get it: the API's Event.
type event struct {
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

// Payload returns the entry as the JSON that webhooks get: the API's Event, without the address
// of the client.
func (a *AuditEntry) Payload() ([]byte, error) {
	return json.Marshal(event{ID: a.ID, Type: a.Action, Timestamp: a.CreatedAt.UTC(),
		OrgID: a.OrgID,
		Actor: eventActor{Type: a.Actor.Type, ID: a.Actor.ID}, Data: a.EventData()})
}

// EventData returns the data of an event: the details, the ID of the object, and the object's
// state before and after.
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
