package client

import (
	"errors"
	"net/http"
	"strings"
	"testing"
)

func TestTry(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		body   string
		check  func(error) bool
	}{
		"success": {http.StatusNoContent, "", func(err error) bool { return err == nil }},
		"a conflict": {http.StatusConflict, `{"code":"domain-exists","existing_id":"dom_2"}`,
			func(err error) bool {
				var e *Error
				return errors.As(err, &e) && e.ExistingID == "dom_2" && !errors.Is(err, ErrNoDryRun)
			}},
		"an old service": {http.StatusBadRequest,
			`{"code":"malformed-request","errors":[{"pointer":"/replacing","code":"unknown-parameter","detail":"x"},
			{"pointer":"/dry_run","code":"unknown-parameter","detail":"x"}]}`,
			func(err error) bool { return errors.Is(err, ErrNoDryRun) }},
		"another malformed request": {http.StatusBadRequest,
			`{"code":"unknown-field","errors":[{"pointer":"/dry_run","code":"unknown-field","detail":"x"}]}`,
			func(err error) bool { return err != nil && !errors.Is(err, ErrNoDryRun) }},
		"not a dry run": {http.StatusCreated, `{}`, func(err error) bool {
			return err != nil && strings.Contains(err.Error(), "want 204: check what was changed")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var sent []string
			c := serve(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
				sent = append(sent, r.Method+" "+r.URL.RequestURI())
				if tt.body == "" {
					w.WriteHeader(tt.status)
					return
				}
				problemJSON(w, tt.status, tt.body)
			})
			ctx := t.Context()
			for call, err := range map[string]error{
				"TryCreateDomain": c.TryCreateDomain(ctx, DomainCreate{Name: "a.test"}, "dom_1"),
				"TryCreateDelegation": c.TryCreateDelegation(ctx, DelegationCreate{Name: "a.test"},
					"dlg_1"),
				"TryCreateDNSConnection": c.TryCreateDNSConnection(ctx, DNSConnectionCreate{}, "con_1"),
				"TryCreateToken":         c.TryCreateToken(ctx, TokenCreate{Name: "a"}, ""),
				"TryCreateWebhook":       c.TryCreateWebhook(ctx, WebhookCreate{Url: "https://a"}, "whk_1"),
				"TryAddMember":           c.TryAddMember(ctx, MemberAdd{Login: "a"}, "usr_1"),
				"TryCreateACMEDNSAccount": c.TryCreateACMEDNSAccount(ctx, ACMEDNSAccountCreate{},
					"ada_1"),
			} {
				if !tt.check(err) {
					t.Errorf("%s = %v after %d %s", call, err, tt.status, tt.body)
				}
			}
			for _, want := range []string{"POST /api/domains?dry_run=true&replacing=dom_1",
				"POST /api/delegations?dry_run=true&replacing=dlg_1",
				"POST /api/tokens?dry_run=true", "POST /api/webhooks?dry_run=true&replacing=whk_1",
				"POST /api/members?dry_run=true&replacing=usr_1",
				"POST /api/acmedns-accounts?dry_run=true&replacing=ada_1"} {
				if !strings.Contains(strings.Join(sent, "\n")+"\n", want+"\n") {
					t.Errorf("the client sent %q, want %q", sent, want)
				}
			}
		})
	}
}
