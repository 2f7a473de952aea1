package controlplane

import "github.com/dcvaas/terraform-provider-dcvaas/client/rules"

// CheckWebhookURL returns a KindInvalid *Error for /url if events can't be sent to a URL, see
// rules.CheckWebhookURL.
func CheckWebhookURL(raw string, loopback bool) error {
	return InvalidBy("/url", rules.CheckWebhookURL(raw, loopback))
}
