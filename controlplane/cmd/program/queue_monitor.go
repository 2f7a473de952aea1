package program

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/hibiken/asynqmon"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/queue"
)

// monitorPath is the path of Asynq's web UI.
const monitorPath = "/queues"

// foreignStyle matches the links to fonts of another host in the pages of Asynq's web UI. Its icons
// are images, and its text is readable in any font.
var foreignStyle = regexp.MustCompile(`<link rel="stylesheet" href="https://[^>]*>`)

// queueMonitor returns Asynq's web UI. The UI has no protection against cross-origin requests, so
// they are rejected here. Its page needs inline scripts, so its path has a separate
// Content-Security-Policy. It loads nothing from other hosts.
func queueMonitor(redisURL string, readOnly bool) (http.Handler, error) {
	opt, err := queue.MonitorOpt(redisURL)
	if err != nil {
		return nil, err
	}
	ui := asynqmon.New(asynqmon.Options{RootPath: monitorPath, RedisConnOpt: opt,
		ReadOnly: readOnly})
	return http.NewCrossOriginProtection().Handler(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("Content-Security-Policy",
				"default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; frame-ancestors 'none'")
			h.Set("X-Content-Type-Options", "nosniff")
			h.Set("Referrer-Policy", "no-referrer")
			if strings.HasPrefix(r.URL.Path, monitorPath+"/api/") {
				ui.ServeHTTP(w, r)
				return
			}
			held := edge.NewHeldResponse()
			ui.ServeHTTP(held, r)
			held.Finish()
			page := foreignStyle.ReplaceAll(held.Body.Bytes(), nil)
			held.Body.Reset()
			held.Body.Write(page)
			held.Send(w)
		})), nil
}
