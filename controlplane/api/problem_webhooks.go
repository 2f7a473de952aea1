package api

// webhookProblems are about webhooks and deliveries.
var webhookProblems = []problemPage{
	{"webhook-url", "Not an address that events can be sent to",
		"Events are sent by https to hosts of the public Internet, on port 443 or one from 1024 to 65535, without a user name in the address.",
		"Send an address such as https://example.com/hooks/dcvaas."},
	{"webhook-secret", "Not a webhook's secret",
		`A secret is "whsec_" followed by 24 to 64 bytes in base64, as Standard Webhooks has it.`,
		"Leave it out and one is made, or make one with: printf whsec_; openssl rand -base64 32"},
	{"webhook-disabled", "The webhook is disabled",
		"Nothing is sent to a webhook that is disabled, but tests: somebody disabled it, its address answered 410, or it failed for five days.",
		`Mend the receiver, then PATCH the webhook with {"enabled": true}.`},
	{"webhook-busy", "The webhook is busy", "As many deliveries as one receiver, or one organization, gets at a time are in progress.", "No action needed. The delivery is retried automatically, and this does not count as a failure. Respond immediately and do the work afterwards."},
	{"not-delivered", "The event was not delivered",
		"The receiver did not answer with a status from 200 to 299 within 20 seconds. The attempts of the delivery say what came instead.",
		"Mend the receiver; the event is sent again by itself, or at once with redeliver."},
	{"event-unknown", "Unknown type of event", "There is no event of this type.", "Send types that the description of webhooks lists, or none for all."},
	{"description-too-long", "The description is too long", "A webhook's description has at most 200 characters.", "Shorten it."},
	{"range-invalid", "Not a range of time", "A range begins before it ends, and at most 30 days ago, as long as deliveries are kept.", "Send a since that is before until, and of the last 30 days."},
}
