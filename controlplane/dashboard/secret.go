package dashboard

import (
	"crypto/rand"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// secretLife is how long a new secret can be read.
const secretLife = 15 * time.Minute

// readingPath is the end of the paths of pages that show a secret.
const readingPath = "/{reading}"

// giveSecret stores a new secret and redirects to the page below path that shows it to the user,
// once. It is part of the transaction that creates the secret (submit).
func (d *Dashboard) giveSecret(w http.ResponseWriter, v *visit, path, secret string) error {
	path += "/" + rand.Text()
	key := secretKey(v, path)
	body, err := d.config.Sealer.Seal([]byte(secret), key.SealedForPage())
	if err != nil {
		return err
	}
	if err := d.store.KeepAnswer(v.Context(), key,
		&postgres.Answer{Status: http.StatusOK, Body: body}, v.now); err != nil {
		return err
	}
	http.Redirect(w, v.Request, path, http.StatusSeeOther)
	return nil
}

// secretKey identifies a secret of the visit's user on the page with the path.
func secretKey(v *visit, path string) postgres.AnswerKey {
	return postgres.AnswerKey{OrgID: v.session.OrgID, Key: "secret " +
		path[strings.LastIndexByte(path, '/')+1:], Method: http.MethodGet, Path: path,
		Hash: controlplane.HashSecret(v.session.User.ID)}
}

// takeSecret returns the secret of the page in the URL and erases it, in one transaction. The
// secret is empty if it was taken before, has expired, or is another user's.
func (d *Dashboard) takeSecret(v *visit) (secret string, err error) {
	if mux.Vars(v.Request)["reading"] == "" {
		return "", controlplane.NotFound("secret", "")
	}
	key := secretKey(v, v.URL.Path)
	err = d.store.InTx(v.Context(), func(t *postgres.Tx) error {
		kept, err := t.TakeAnswer(v.Context(), key, v.now.Add(-secretLife))
		if err != nil {
			return err
		}
		plain, err := d.config.Sealer.Open(kept.Body, key.SealedForPage())
		secret = string(plain)
		return err
	})
	if controlplane.IsKind(err, controlplane.KindNotFound) ||
		controlplane.IsKind(err, controlplane.KindInvalid) {
		return "", nil
	}
	return secret, err
}

// readOnce returns the handler of a page that shows a secret once. Requests that show nothing to
// the user do not reach the page: HEAD, prefetches, and requests of scripts and images.
func readOnce(h handler) handler {
	return func(w http.ResponseWriter, v *visit) error {
		uncompressed(w)
		mode := v.Header.Get("Sec-Fetch-Mode")
		switch {
		case v.Method == http.MethodHead:
			w.WriteHeader(http.StatusOK)
			return nil
		case isPrefetch(v.Header), mode != "" && mode != "navigate":
			w.WriteHeader(http.StatusServiceUnavailable) // the browser fetches the page when it is shown
			return nil
		}
		return h(w, v)
	}
}

// isPrefetch reports whether a browser fetches a page that the user may never see.
func isPrefetch(h http.Header) bool {
	for _, name := range []string{"Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"} {
		if value := h.Get(name); strings.Contains(value, "prefetch") ||
			strings.Contains(value, "prerender") || strings.Contains(value, "preview") {
			return true
		}
	}
	return false
}

// secretStatus returns the status of a page with a secret, or of one whose secret was shown before.
func secretStatus(secret string) int {
	if secret == "" {
		return http.StatusGone
	}
	return http.StatusOK
}
