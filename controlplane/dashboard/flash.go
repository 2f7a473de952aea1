package dashboard

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// flashes are the messages that a page shows after an action. The cookie has only the key, so it
// cannot inject text.
var flashes = map[string]string{
	"added":              "Domain added. Create the record below; the rest is automatic.",
	"added-through":      "Domain added. Its records are being created; the status below shows the progress.",
	"added-several":      "Domain added. Create the records below; the rest is automatic.",
	"names-saved":        "Names saved. The status below shows the next step.",
	"settings-saved":     "Settings saved.",
	"settings-ordered":   "Settings saved. A new certificate with them is ordered; the current one stays until then.",
	"settings-outdated":  "Settings saved. The current certificate does not have them: Renew now orders one that does.",
	"none-selected":      "No domain is selected. Select one or more, then continue.",
	"domain-deleted":     "Domain deleted.",
	"check":              "DNS check started.",
	"check-running":      "A DNS check is already in progress.",
	"issue":              "Certificate order started.",
	"issue-running":      "A certificate order is already in progress.",
	"renew":              "Renewal started.",
	"renew-running":      "A certificate order is already in progress.",
	"joined":             "You joined this organization.",
	"uninvited":          "Invitation deleted.",
	"declined":           "Invitation declined.",
	"member":             "You are already a member of this organization. Nothing changed.",
	"switched":           "Switched to this organization.",
	"created":            "Organization created. You are its owner.",
	"renamed":            "Organization renamed.",
	"left":               "You left the organization.",
	"deleted":            "Organization deleted.",
	"role":               "Role changed.",
	"transferred":        "Ownership transferred. You are now an admin.",
	"removed":            "Member removed and signed out of this organization.",
	"invitation-revoked": "Invitation revoked. Its link no longer works.",
	"retry":              "Job restarted with all attempts.",
	"token-renamed":      "Token renamed.",
	"token-revoked":      "Token revoked. It no longer works.",
	"previous-revoked":   "Previous secrets revoked. Only the current secret is valid.",
	"tokens-revoked":     "All tokens revoked. They no longer work.",
	"retry-running":      "The job is already in progress.",
	"session-ended":      "Session ended.",
	"session-gone":       "The session had already ended.",

	"revoke":         "Revocation started.",
	"revoke-running": "A revocation is already in progress; the last reason applies.",

	"connection-added":       "DNS connection added. Its credentials work.",
	"connection-untested":    "DNS connection added. The DNS host did not respond; it is tested again automatically.",
	"connection-renamed":     "DNS connection renamed.",
	"connection-replaced":    "Credentials replaced.",
	"connection-deleted":     "DNS connection deleted.",
	"connection-ok":          "Test finished: the connection works.",
	"connection-invalid":     "Test finished: the DNS host rejects the credentials.",
	"connection-unreachable": "Test finished: the DNS host did not respond.",
	"connection-left":        "No further records are created for this domain. Those that exist stay.",
	"records-requested":      "The records are being created. The domain is checked as soon as they exist.",

	"acme-saved":    "Account saved.",
	"acme-attached": "Account attached. Its values are served at the target of this name.",
	"acme-detached": "Account detached. Its values are served at its own name.",
	"acme-deleted":  "Account deleted. Its values are no longer served.",

	"registration-revoked": "Registration key revoked. It registers no further accounts.",

	"webhook-saved":   "Webhook saved.",
	"webhook-deleted": "Webhook and its deliveries deleted.",
	"webhook-test":    "Test event sent. Reload the page to see the result.",
	"redelivered":     "Redelivery started with all attempts.",
}

// counts are flashes with a number, which is also in the cookie.
var counts = map[string]struct{ one, many string }{
	"redelivered-range": {"Redelivery of 1 event started.", "Redelivery of %d events started."},
	"sessions-ended":    {"1 other session ended.", "%d other sessions ended."},
	"redelivered-part":  {"Redelivery of 1 event started. There are more events in the range; the form below starts with them.", "Redelivery of %d events started, oldest first. There are more events in the range; the form below starts with them."},
}

// flashWithCount returns the cookie value of a flash with a number.
func flashWithCount(key string, n int) string { return fmt.Sprintf("%s.%d", key, n) }

const flashCookie = "dcvaas_flash"

func (d *Dashboard) setFlash(w http.ResponseWriter, key string) {
	d.setCookie(w, flashCookie, key, 30)
}

// takeFlash returns the message about the last action and deletes its cookie.
func (d *Dashboard) takeFlash(w http.ResponseWriter, v *visit) string {
	c, err := v.Cookie(flashCookie)
	if err != nil {
		return ""
	}
	d.setCookie(w, flashCookie, "", -1)
	if key, number, ok := strings.Cut(c.Value, "."); ok {
		return countFlash(key, number)
	}
	return flashes[c.Value]
}

func countFlash(key, number string) string {
	words := counts[key]
	n, err := strconv.ParseUint(number, 10, 32)
	switch {
	case err != nil || words.many == "":
		return ""
	case n == 1:
		return words.one
	}
	return fmt.Sprintf(words.many, n)
}
