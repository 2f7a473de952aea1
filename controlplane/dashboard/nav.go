package dashboard

// navItem is one place that the navigation leads to.
type navItem struct{ Section, Label, URL string }

// navigation are the sections, in their order.
var navigation = []navItem{
	{"domains", "Domains", "/domains"},
	{"jobs", "Jobs", "/jobs"},
	{"expiry", "Expiry", "/expiry"},
	{"webhooks", "Webhooks", "/webhooks"},
	{"settings", "Settings", "/settings"},
}

// settings are the pages of the section for settings, in their order.
var settings = []navItem{
	{"organization", "Organization", "/settings/organization"},
	{"members", "Members", "/settings/members"},
	{"tokens", "Tokens", "/settings/tokens"},
	{"audit", "Audit log", "/settings/audit"},
	{"sessions", "Sessions", sessionsPath},
}

// navView is what a navigation shows: its stops, and at which of them the page is.
type navView struct {
	Items   []navItem
	Current string
}
