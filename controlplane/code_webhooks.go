package controlplane

// webhookCodes are about webhooks and deliveries.
var webhookCodes = appearIn(InProblem, []Code{
	{Code: "webhook-url", Title: "Invalid webhook URL",
		Cause: "Events are sent by HTTPS to hosts on the public Internet, on port 443 or a port " +
			"from 1024 to 65535, without a user name in the URL.",
		Fix: "Send a URL such as https://example.com/hooks/dcvaas."},
	{Code: "webhook-secret", Title: "Invalid webhook secret",
		Cause: "A secret is \"whsec_\" followed by 24 to 64 bytes in base64, as Standard " +
			"Webhooks defines it.",
		Fix: "Leave out the secret, and the service generates one. Or generate one with: " +
			"printf whsec_; openssl rand -base64 32"},
	{Code: "webhook-disabled", Title: "Webhook disabled", In: InProblem | InJob,
		Cause: "Only test events are sent to a disabled webhook. It was disabled by " +
			"request, because its URL returned 410, or because it failed for five days.",
		Fix:          "Fix the receiver, then PATCH the webhook with {\"enabled\": true}.",
		DashboardFix: "Enable the webhook on its page first."},
	{Code: "webhook-busy", Title: "Webhook busy", Actor: PartyService, In: InJob,
		Cause: "As many deliveries as one receiver, or one organization, gets at a time are in " +
			"progress.",
		Fix: "No action needed. The delivery is retried automatically, and this does not count " +
			"as a failure. Respond immediately and process the event afterwards."},
	{Code: "not-delivered", Title: "Event not delivered", In: InJob,
		Cause: "The receiver did not return a status from 200 to 299 within 20 seconds. The " +
			"attempts of the delivery show the responses.",
		Fix: "Fix the receiver. The event is delivered again automatically, or immediately " +
			"with redeliver."},
	{Code: "event-unknown", Title: "Unknown event type",
		Cause: "No event has this type.",
		Fix:   "Send types that the API description of webhooks lists, or none for all."},
	{Code: "range-invalid", Title: "Invalid time range",
		Cause: "A time range starts before it ends, and at most 30 days ago, which is how " +
			"long deliveries are kept.",
		Fix:          "Send a since that is before until, and within the last 30 days.",
		DashboardFix: "Choose a start within the last 30 days and before the end."},
})
