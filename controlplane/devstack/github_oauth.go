package devstack

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"embed"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

//go:embed github.html
var githubFiles embed.FS

var githubTemplate = template.Must(template.ParseFS(githubFiles, "github.html"))

// githubCode is the request that an authorization code belongs to. A code works once.
type githubCode struct {
	login     string
	challenge string
	redirect  string
}

// authorize shows the available logins. After a login is chosen, it redirects with a code (RFC 6749
// §4.1).
func (g *GitHub) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	back, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || back.Host == "" || q.Get("client_id") != g.cfg.ClientID ||
		q.Get("response_type") != "code" {
		http.Error(w, "unknown client_id, or invalid redirect_uri", http.StatusNotFound)
		return
	}
	answer := url.Values{"state": {q.Get("state")}}
	switch login := strings.TrimSpace(q.Get("login")); {
	case q.Get("deny") != "":
		answer.Set("error", "access_denied")
		answer.Set("error_description", "The user has denied your application access.")
	case !controlplane.IsLogin(login):
		g.choose(w, q)
		return
	case q.Get("code_challenge") == "" || q.Get("code_challenge_method") != "S256":
		answer.Set("error", "invalid_request")
	default:
		answer.Set("code", g.newCode(githubCode{login: g.Account(login).Login,
			challenge: q.Get("code_challenge"), redirect: q.Get("redirect_uri")}))
	}
	back.RawQuery = answer.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

func (g *GitHub) newCode(c githubCode) string {
	code := rand.Text()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.codes[code] = c
	return code
}

func (g *GitHub) choose(w http.ResponseWriter, q url.Values) {
	kept := map[string]string{}
	for name := range q {
		if name != "login" {
			kept[name] = q.Get(name)
		}
	}
	var b bytes.Buffer
	if err := githubTemplate.Execute(&b, struct {
		Logins []string
		Kept   map[string]string
	}{g.cfg.Logins, kept}); err != nil {
		http.Error(w, "rendering the page failed", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy",
		"default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'")
	_, _ = b.WriteTo(w)
}

// accessToken exchanges a code for a token. Like GitHub, it reports errors with status 200.
func (g *GitHub) accessToken(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
	token, problem := g.exchange(r)
	if problem != "" {
		answerJSON(w, map[string]string{"error": problem,
			"error_description": "See the documentation."})
		return
	}
	answerJSON(w, map[string]string{"access_token": token, "token_type": "bearer", "scope": ""})
}

func (g *GitHub) exchange(r *http.Request) (token, problem string) {
	if r.PostFormValue("client_id") != g.cfg.ClientID ||
		r.PostFormValue("client_secret") != g.cfg.Secret {
		return "", "incorrect_client_credentials"
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	c, ok := g.codes[r.PostFormValue("code")]
	delete(g.codes, r.PostFormValue("code"))
	challenge := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	switch {
	case !ok, subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(challenge[:])),
		[]byte(c.challenge)) == 0:
		return "", "bad_verification_code"
	case r.PostFormValue("redirect_uri") != c.redirect:
		return "", "redirect_uri_mismatch"
	}
	token = "gho_" + rand.Text()
	g.tokens[token] = c.login
	return token, ""
}

func (g *GitHub) user(w http.ResponseWriter, r *http.Request) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	g.mu.Lock()
	login, ok := g.tokens[token]
	g.mu.Unlock()
	if !ok {
		http.Error(w, `{"message":"Bad credentials"}`, http.StatusUnauthorized)
		return
	}
	g.answer(w, login)
}

func (g *GitHub) userByLogin(w http.ResponseWriter, r *http.Request) {
	if id, secret, ok := r.BasicAuth(); !ok || id != g.cfg.ClientID || secret != g.cfg.Secret {
		http.Error(w, `{"message":"Bad credentials"}`, http.StatusUnauthorized)
		return
	}
	g.answer(w, r.PathValue("login"))
}

func (g *GitHub) answer(w http.ResponseWriter, login string) {
	if strings.HasPrefix(login, "no-such-") {
		http.Error(w, `{"message":"Not Found"}`, http.StatusNotFound)
		return
	}
	kind := "User"
	if strings.HasPrefix(login, "org-") {
		kind = "Organization"
	}
	a := g.Account(login)
	answerJSON(w, map[string]any{"id": a.ID, "login": a.Login, "name": a.Name, "type": kind})
}

func answerJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(v)
}
