package dashboard

import "net/http"

// flashes are what an action says on the page that follows it. The cookie carries only the
// key, so nobody can put words into the page.
var flashes = map[string]string{
	"added":         "Domain added. Create the record below; the rest happens by itself.",
	"check":         "The record is being looked up now.",
	"check-running": "A check is under way already.",
	"issue":         "A certificate is being ordered now.",
	"issue-running": "A certificate is being ordered already.",
	"renew":         "The certificate is being renewed now.",
	"renew-running": "A certificate is being ordered already.",
	"joined":        "You are a member of this organization now.",
	"member":        "You are a member of this organization already; nothing was changed.",
	"switched":      "You are in this organization now.",
	"retry":         "The job starts afresh, with all its attempts.",
	"retry-running": "That work is under way already.",
}

const flashCookie = "dcvaas_flash"

func (d *Dashboard) setFlash(w http.ResponseWriter, key string) { d.setCookie(w, flashCookie, key, 30) }

// takeFlash returns what the last action did, once.
func (d *Dashboard) takeFlash(w http.ResponseWriter, v *visit) string {
	c, err := v.Cookie(flashCookie)
	if err != nil {
		return ""
	}
	d.setCookie(w, flashCookie, "", -1)
	return flashes[c.Value]
}
