package dashboard

// stop is one place that the navigation leads to.
type stop struct{ Section, Word, URL string }

// navigation are the sections, in their order.
var navigation = []stop{
	{"domains", "Domains", "/domains"},
	{"jobs", "Jobs", "/jobs"},
	{"expiry", "Expiry", "/expiry"},
	{"webhooks", "Webhooks", "/webhooks"},
	{"settings", "Settings", "/settings"},
}

// settings are the pages of the section for settings, in their order.
var settings = []stop{
	{"organization", "Organization", "/settings/organization"},
	{"members", "Members", "/settings/members"},
	{"tokens", "Tokens", "/settings/tokens"},
	{"audit", "Audit log", "/settings/audit"},
	{"sessions", "Sessions", sessionsPath},
}

// navView is what a navigation shows: its stops, and at which of them the page is.
type navView struct {
	Stops []stop
	At    string
}
