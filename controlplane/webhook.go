package controlplane

import (
	"crypto/rand"
	"encoding/base64"
	"strings"
	"time"
)

// Actions on webhooks. They are events, too, and go to the organization's other webhooks.
const (
	ActionWebhookCreated     = "webhook.created"
	ActionWebhookUpdated     = "webhook.updated"
	ActionWebhookDeleted     = "webhook.deleted"
	ActionWebhookRotated     = "webhook.secret_rotated"
	ActionWebhookRedelivered = "webhook.redelivered"
	ActionWebhookDisabled    = "webhook.disabled"
)

// EventTest is the type of the event that a test sends. It is in no log.
const EventTest = "webhook.test"

// Why a webhook was disabled, where nobody asked for it.
const (
	WebhookGone    = "gone"    // it answered 410
	WebhookFailing = "failing" // no attempt succeeded for WebhookPatience
)

const (
	// WebhookPatience is how long a webhook may fail before it is disabled.
	WebhookPatience = 5 * 24 * time.Hour
	// WebhookOverlap is how long deliveries are signed with the secret before the present one
	// as well.
	WebhookOverlap = 24 * time.Hour
)

// Webhook is an address that events are sent to.
type Webhook struct {
	ID             string
	OrgID          string
	URL            string
	Description    string
	Events         []string // types of events; empty: all
	Enabled        bool
	DisabledReason string     // WebhookGone or WebhookFailing; empty where it was asked for
	FailingSince   *time.Time // since when no attempt has succeeded; nil where the last one did
	SealedSecret   []byte     // the whsec_ text, sealed for the webhook's id
	PreviousSecret []byte     // the one before it, sealed alike; nil where there is none
	PreviousUntil  *time.Time // until when that one signs along
	CreatedBy      string     // ID of the user or token; empty if unknown
	CreatedAt      time.Time
	UpdatedAt      time.Time
}

const (
	webhookSecretPrefix   = "whsec_"
	webhookSecretBytes    = 32
	minWebhookSecretBytes = 24
	maxWebhookSecretBytes = 64
)

// NewWebhookSecret returns a secret to sign with: "whsec_" and 32 random bytes in base64
// (Standard Webhooks, "Symmetric").
func NewWebhookSecret() string {
	b := make([]byte, webhookSecretBytes)
	if _, err := rand.Read(b); err != nil {
		panic(err) // crypto/rand never fails
	}
	return webhookSecretPrefix + base64.StdEncoding.EncodeToString(b)
}

// WebhookKey returns the key of the HMAC that a secret stands for: 24 to 64 bytes, as
// Standard Webhooks asks. The error says nothing of what was sent.
func WebhookKey(secret string) ([]byte, error) {
	text, ok := strings.CutPrefix(secret, webhookSecretPrefix)
	key, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(key) < minWebhookSecretBytes || len(key) > maxWebhookSecretBytes {
		return nil, Invalid("/secret", "webhook-secret", `A webhook's secret is "whsec_" followed by 24 to 64 bytes in base64.`,
			`Send one such as: printf whsec_; openssl rand -base64 32. Or leave it out, and one is made.`)
	}
	return key, nil
}

// WebhookIsDisabled is the answer to what only an enabled webhook can do.
func WebhookIsDisabled(id string) *Error {
	return &Error{Kind: KindConflict, Code: "webhook-disabled", ExistingID: id, Message: "The webhook is disabled, so nothing is sent there.",
		Fix: "Enable it first: PATCH /api/webhooks/" + id + ` with {"enabled": true}.`}
}
