package dashboard

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

const (
	// submitPatience is how long a repeated submission waits for the first one.
	submitPatience = 20 * time.Second
	submitPoll     = 50 * time.Millisecond
)

// Reasons for which a submission is not executed and its input is kept instead (form_input.go).
var (
	errSignedOut = errors.New("dashboard: the session has ended")
	errElsewhere = errors.New("dashboard: the form is of another organization")
	errNotKept   = errors.New("dashboard: the response is not stored")
)

// submit returns the handler of a form.
//
// A form is executed once: its handler runs in the transaction that stores its redirect under the
// form's key (Store.Once), and a repeated submission gets the same redirect. Only redirects are
// stored, so a form that is shown again with errors keeps its key. A form without a valid key, such
// as one that the previous release rendered, is executed like one with a new key.
func (d *Dashboard) submit(f formRoute) handler {
	return func(w http.ResponseWriter, v *visit) error {
		if err := v.ParseForm(); err != nil {
			return badForm(err)
		}
		key, known := parseFormKey(d.formsKey, v.URL.Path, v.PostForm.Get(formKeyField))
		v.PostForm.Del(formKeyField)
		v.Form.Del(formKeyField)
		switch {
		case f.always, !known && v.session == nil:
			if err := f.handler(w, v); !errors.Is(err, errSignedOut) {
				return err
			}
			return redirectToSignIn(w, v, pathOf(f.page, v))
		case !known:
			key = v.newFormKey()
		case v.session != nil && key.UserID != v.session.User.ID:
			return anotherUser()
		}
		return d.submitOnce(w, v, f, key)
	}
}

// submitOnce executes a form, or repeats its redirect.
func (d *Dashboard) submitOnce(
	w http.ResponseWriter, v *visit, f formRoute, key formKey,
) error {
	var held *edge.HeldResponse
	answer := postgres.AnswerKey{OrgID: key.OrgID, Key: "form " + key.Random,
		Method: v.Method, Path: f.path, Hash: d.formHash(v, key)}
	kept, err := d.onceFinished(v, answer, func(ctx context.Context) (*postgres.Answer, error) {
		held = edge.NewHeldResponse()
		if v.session != nil && v.session.OrgID != key.OrgID {
			return nil, errElsewhere
		}
		request := v.Request
		v.Request = v.WithContext(ctx)
		err := f.handler(held, v)
		v.Request = request
		if err != nil {
			return nil, err
		}
		if held.Finish(); held.Status != http.StatusSeeOther {
			return nil, errNotKept
		}
		if v.unstored {
			return nil, nil
		}
		return &postgres.Answer{Status: held.Status, Header: held.Headers}, nil
	})
	switch {
	case err == nil && kept != nil:
		(&edge.HeldResponse{Headers: kept.Header, Status: kept.Status}).Send(w)
		return nil
	case err == nil, errors.Is(err, errNotKept):
		held.Send(w)
		return nil
	case f.path == deleteOrganizationPath && controlplane.IsKind(err, controlplane.KindNotFound):
		return d.organizationOver(w, v) // the first submission has deleted it
	case errors.Is(err, errSignedOut), errors.Is(err, errElsewhere),
		controlplane.HasCode(err, "idempotency-key-reused"):
		return d.keepInput(w, v, f, key, err)
	case controlplane.HasCode(err, "idempotency-in-progress"):
		return stillSubmitting(err)
	}
	return err
}

// onceFinished is Store.Once, but waits while the first submission is in progress.
func (d *Dashboard) onceFinished(
	v *visit, key postgres.AnswerKey, fn func(context.Context) (*postgres.Answer, error),
) (*postgres.Answer, error) {
	end := time.Now().Add(d.patience)
	for {
		kept, err := d.store.Once(v.Context(), key, v.now.Add(-controlplane.AnswersKept), v.now, fn)
		if !controlplane.HasCode(err, "idempotency-in-progress") || time.Now().After(end) {
			return kept, err
		}
		select {
		case <-v.Context().Done():
			return nil, v.Context().Err()
		case <-time.After(submitPoll):
		}
	}
}

// formHash covers what two submissions of a form have in common. It is keyed, so that input cannot
// be guessed from stored data.
func (d *Dashboard) formHash(v *visit, key formKey) []byte {
	h := hmac.New(sha256.New, d.formsKey)
	_, _ = io.WriteString(h, "submission\n"+key.UserID+"\n"+v.URL.Path+"\n"+v.PostForm.Encode())
	return h.Sum(nil)
}

func anotherUser() error {
	return &controlplane.Error{Kind: controlplane.KindConflict, Code: "form-of-another-user",
		Message: "Another account opened this form. Nothing was changed.",
		Fix:     "Open the page again with the account that you are signed in with now."}
}

func stillSubmitting(err error) error {
	return &controlplane.Error{Kind: controlplane.KindConflict, Code: "form-in-progress",
		Message: "Your first submission of this form is still in progress.",
		Fix:     "Reload this page to see its result. It is executed only once.", Err: err}
}
