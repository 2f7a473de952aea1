package controlplane

import "time"

// ActorType is the type of an actor.
type ActorType string

// The types of actors.
const (
	ActorUser   ActorType = "user"
	ActorToken  ActorType = "token"
	ActorSystem ActorType = "system"
)

// Actor is who did something, and with which request.
type Actor struct {
	Type      ActorType
	ID        string // of the user or token; for the system, the name of the component
	IP        string
	RequestID string
}

// System returns the actor for the automatic actions of a component.
func System(component string) Actor { return Actor{Type: ActorSystem, ID: component} }

// AuditEntry is one row of the append-only log.
type AuditEntry struct {
	ID         string
	Seq        int64 // order of the log
	OrgID      string
	Actor      Actor
	Action     string // one of Actions
	EntityType string
	EntityID   string
	Before     map[string]any
	After      map[string]any
	Details    map[string]any
	CreatedAt  time.Time
}

// DomainID returns the domain that the entry is about, "" if it is about none.
func (a *AuditEntry) DomainID() string {
	if id, ok := a.Details["domain_id"].(string); ok {
		return id
	}
	if a.EntityType == "domain" {
		return a.EntityID
	}
	return ""
}
