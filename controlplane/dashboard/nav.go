package dashboard

import (
	"encoding/json"
	"sync"
)

// navItem is a link in a navigation. Key, after “g”, is its keyboard shortcut, if it has one.
type navItem struct{ Section, Label, URL, Key string }

// navigation has the links of the main navigation.
var navigation = []navItem{
	{"domains", "Domains", "/domains", "d"},
	{"alerts", "Alerts", "/alerts", "a"},
	{"jobs", "Jobs", "/jobs", "j"},
	{"expiry", "Expiry", "/expiry", "e"},
	{"webhooks", "Webhooks", "/webhooks", "w"},
	{"settings", "Settings", "/settings", "s"},
}

// settings has the links of the settings navigation.
var settings = []navItem{
	{"organization", "Organization", "/settings/organization", ""},
	{"members", "Members", "/settings/members", ""},
	{"tokens", "Tokens", "/settings/tokens", ""},
	{"connections", "DNS connections", connectionsPath, ""},
	{"acme", "ACME clients", acmeClientsPath, ""},
	{"audit", "Audit log", "/settings/audit", ""},
	{"sessions", "Sessions", sessionsPath, ""},
}

// navView is a navigation with the section of the current page.
type navView struct {
	Items   []navItem
	Current string
	Alerts  int // shown beside the alerts; 0 is not
}

// shortcuts returns the pages of the main navigation by their keys, as JSON for a script.
var shortcuts = sync.OnceValue(func() string {
	pages := map[string]string{}
	for _, item := range navigation {
		pages[item.Key] = item.URL
	}
	text, _ := json.Marshal(pages) // a map of texts never fails
	return string(text)
})
