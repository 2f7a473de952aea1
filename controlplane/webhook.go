package controlplane

import (
	"crypto/rand"
	"encoding/base64"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// Why a webhook was disabled automatically.
const (
	WebhookGone    = "gone"    // it returned 410
	WebhookFailing = "failing" // no attempt succeeded for WebhookPatience
)

const (
	// WebhookPatience is how long a webhook may fail before it is disabled.
	WebhookPatience = 5 * 24 * time.Hour
	// WebhookOverlap is how long deliveries are also signed with a secret after it is replaced.
	WebhookOverlap = 24 * time.Hour
)

// Webhook is a URL that events are sent to.
type Webhook struct {
	ID             string
	OrgID          string
	URL            string
	Description    string
	Events         []string // event types; empty: all
	Enabled        bool
	DisabledReason string     // WebhookGone or WebhookFailing; empty if it was disabled by request
	FailingSince   *time.Time // since when no attempt has succeeded; nil if the last one did
	Secrets        Secrets    // deliveries are signed with all valid ones
	CreatedBy      string     // ID of the user or token; empty if unknown
	CreatedAt      time.Time
	UpdatedAt      time.Time
}

const webhookSecretBytes = 32

// NewWebhookSecret returns a new signing secret: "whsec_" and 32 random bytes in base64 (Standard
// Webhooks, "Symmetric").
func NewWebhookSecret() string {
	b := make([]byte, webhookSecretBytes)
	if _, err := rand.Read(b); err != nil {
		panic(err) // crypto/rand never fails
	}
	return rules.WebhookSecretPrefix + base64.StdEncoding.EncodeToString(b)
}

// WebhookSecretPrefix returns the part of a webhook's secret that may be shown.
func WebhookSecretPrefix(s string) string {
	return s[:min(len(s), len(rules.WebhookSecretPrefix)+6)]
}

// WebhookKey returns the HMAC key in a webhook's secret, see rules.WebhookKey. It returns a
// KindInvalid *Error for /secret.
func WebhookKey(secret string) ([]byte, error) {
	key, err := rules.WebhookKey(secret)
	return key, InvalidBy("/secret", err)
}

// WebhookIsDisabled returns the error of an operation that needs an enabled webhook.
func WebhookIsDisabled(id string) *Error {
	return &Error{Kind: KindConflict, Code: "webhook-disabled", ExistingID: id,
		Message: "The webhook is disabled, so events are not sent to it.",
		Fix:     "Enable it first: PATCH /api/webhooks/" + id + ` with {"enabled": true}.`}
}
