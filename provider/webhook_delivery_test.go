package provider

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// receiver receives deliveries, responds with the status, and reports which secrets signed them.
type receiver struct {
	*httptest.Server
	status atomic.Int64
	signed chan []bool // whether by each of the secrets
}

func (a *acc) receiver(secrets ...string) *receiver {
	a.Helper()
	r := &receiver{signed: make(chan []bool, 16)}
	r.status.Store(http.StatusNoContent)
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			a.Error(err)
		}
		var by []bool
		for _, s := range secrets {
			hook, err := standardwebhooks.NewWebhook(s)
			if err != nil {
				a.Error(err)
				return
			}
			by = append(by, hook.Verify(body, req.Header) == nil)
		}
		w.WriteHeader(int(r.status.Load()))
		r.signed <- by
	}))
	a.Cleanup(r.Close)
	return r
}

// delivered sends an event and returns which of the secrets signed it.
func (r *receiver) delivered(a *acc) []bool {
	a.Helper()
	a.added(a.domain())
	select {
	case by := <-r.signed:
		return by
	case <-time.After(time.Minute):
		a.Fatal("no delivery was received")
		return nil
	}
}

// The configured secret signs. After a change of the version, the new and the previous secret sign
// for a day.
func TestAccWebhook_secret(t *testing.T) {
	a := newAcc(t).organization(t)
	first, second := webhookSecret(1), webhookSecret(2)
	r := a.receiver(first, second)
	config := func(secret string, version int) string {
		return a.webhookConfig(r.URL,
			fmt.Sprintf("events = [\"domain.created\"]\nsecret_wo = %q\nsecret_wo_version = %d",
				secret, version))
	}
	signedBy := func(want ...bool) resource.TestCheckFunc {
		return func(*terraform.State) error {
			if got := r.delivered(a); got[0] != want[0] || got[1] != want[1] {
				return fmt.Errorf("signed by the secrets %v, want %v", got, want)
			}
			return nil
		}
	}
	a.run(
		resource.TestStep{Config: config(first, 1), Check: signedBy(true, false)},
		resource.TestStep{Config: config(second, 1),
			ConfigPlanChecks: pre(webhookAction(plancheck.ResourceActionNoop)),
			Check:            signedBy(true, false)},
		resource.TestStep{Config: config(second, 2), Check: signedBy(true, true)},
	)
}

// A webhook that the service disabled is drift, and the next apply enables it again.
func TestAccWebhook_disabledByTheService(t *testing.T) {
	a := newAcc(t).organization(t)
	r := a.receiver()
	config := a.webhookConfig(r.URL, `events = ["domain.created"]`)
	id := ""
	a.run(
		resource.TestStep{Config: config, Check: idOf(webhookAddress, &id)},
		resource.TestStep{
			PreConfig: func() {
				r.status.Store(http.StatusGone)
				r.delivered(a)
				for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
					if w, err := a.client.Webhook(t.Context(), id); err != nil ||
						time.Now().After(deadline) {
						t.Errorf("the webhook is not disabled: %+v, %v", w, err)
					} else if w.Enabled {
						continue
					}
					return
				}
			},
			RefreshState:       true,
			ExpectNonEmptyPlan: true,
		},
		resource.TestStep{
			Config: config,
			ConfigPlanChecks: pre(append(unknownOfWebhook("disabled_reason", "failing_since"),
				webhookAction(plancheck.ResourceActionUpdate),
				plancheck.ExpectKnownValue(webhookAddress, at("enabled"),
					knownvalue.Bool(true)))...),
			ConfigStateChecks: []statecheck.StateCheck{webhookState("enabled",
				knownvalue.Bool(true)), webhookState("disabled_reason", knownvalue.Null()),
				webhookState("failing_since", knownvalue.Null())},
		},
		resource.TestStep{Config: a.webhookConfig(r.URL,
			"events = [\"domain.created\"]\nenabled = false")},
	)
}
