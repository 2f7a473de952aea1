package dashboard

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// flashes are what an action says on the page that follows it. The cookie carries only the
// key, so nobody can put words into the page.
var flashes = map[string]string{
	"added":              "Domain added. Create the record below; the rest happens by itself.",
	"check":              "The record is being looked up now.",
	"check-running":      "A check is under way already.",
	"issue":              "A certificate is being ordered now.",
	"issue-running":      "A certificate is being ordered already.",
	"renew":              "The certificate is being renewed now.",
	"renew-running":      "A certificate is being ordered already.",
	"joined":             "You are a member of this organization now.",
	"uninvited":          "Invitation deleted.",
	"declined":           "Invitation declined.",
	"member":             "You are a member of this organization already; nothing was changed.",
	"switched":           "You are in this organization now.",
	"renamed":            "The organization has its new name.",
	"left":               "You have left the organization.",
	"deleted":            "The organization is deleted.",
	"role":               "The role is as you chose it.",
	"transferred":        "The organization is handed over. You are an admin now.",
	"removed":            "Member removed and signed out of this organization.",
	"invitation-revoked": "Invitation revoked. Its link no longer works.",
	"retry":              "The job starts afresh, with all its attempts.",
	"token-renamed":      "The token has its new name.",
	"token-revoked":      "The token is revoked: it works no more.",
	"tokens-revoked":     "All tokens are revoked: none works any more.",
	"retry-running":      "That work is under way already.",
	"session-ended":      "The session has ended.",
	"session-gone":       "That session had ended already.",

	"revoke":         "The CA is being told to revoke the certificate.",
	"revoke-running": "The certificate is being revoked already; the last reason counts.",

	"webhook-saved":   "The webhook is changed.",
	"webhook-deleted": "The webhook is deleted, with its deliveries.",
	"webhook-test":    "A test is on its way. Reload the page to see what became of it.",
	"redelivered":     "The event is sent again now, with all attempts anew.",
}

// counts are flashes that say how many: the cookie carries the number, too.
var counts = map[string]struct{ one, many string }{
	"redelivered-range": {"1 event is sent again.", "%d events are sent again."},
	"sessions-ended":    {"1 other session has ended.", "%d other sessions have ended."},
	"redelivered-part":  {"1 event is sent again, and there are more.", "%d events are sent again, the oldest first. There are more: the form below begins where they end."},
}

// flashWithCount returns the key of a flash that says how many.
func flashWithCount(key string, n int) string { return fmt.Sprintf("%s.%d", key, n) }

const flashCookie = "dcvaas_flash"

func (d *Dashboard) setFlash(w http.ResponseWriter, key string) { d.setCookie(w, flashCookie, key, 30) }

// takeFlash returns what the last action did, once.
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
