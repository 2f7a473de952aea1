package controlplane

import (
	"crypto/rand"
	"encoding/base64"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

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

const webhookSecretBytes = 32

// NewWebhookSecret returns a secret to sign with: "whsec_" and 32 random bytes in base64
// (Standard Webhooks, "Symmetric").
func NewWebhookSecret() string {
	b := make([]byte, webhookSecretBytes)
	if _, err := rand.Read(b); err != nil {
		panic(err) // crypto/rand never fails
	}
	return rules.WebhookSecretPrefix + base64.StdEncoding.EncodeToString(b)
}

// WebhookKey returns the HMAC key in a webhook's secret, see rules.WebhookKey. It returns a
// KindInvalid *Error for /secret.
func WebhookKey(secret string) ([]byte, error) {
	key, err := rules.WebhookKey(secret)
	return key, invalidBy("/secret", err)
}

// WebhookIsDisabled is the answer to what only an enabled webhook can do.
func WebhookIsDisabled(id string) *Error {
	return &Error{Kind: KindConflict, Code: "webhook-disabled", ExistingID: id, Message: "The webhook is disabled, so nothing is sent there.",
		Fix: "Enable it first: PATCH /api/webhooks/" + id + ` with {"enabled": true}.`}
}
