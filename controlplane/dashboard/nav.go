package dashboard

// navItem is a link in a navigation.
type navItem struct{ Section, Label, URL string }

// navigation has the links of the main navigation.
var navigation = []navItem{
	{"domains", "Domains", "/domains"},
	{"jobs", "Jobs", "/jobs"},
	{"expiry", "Expiry", "/expiry"},
	{"webhooks", "Webhooks", "/webhooks"},
	{"settings", "Settings", "/settings"},
}

// settings has the links of the settings navigation.
var settings = []navItem{
	{"organization", "Organization", "/settings/organization"},
	{"members", "Members", "/settings/members"},
	{"tokens", "Tokens", "/settings/tokens"},
	{"audit", "Audit log", "/settings/audit"},
	{"sessions", "Sessions", sessionsPath},
}

// navView is a navigation with the section of the current page.
type navView struct {
	Items   []navItem
	Current string
}
