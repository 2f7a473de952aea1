package soak

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"time"
)

// stage is a request of an order, or the result of one.
type stage string

const (
	atDirectory     stage = "directory"
	atNonce         stage = "newNonce"
	atAccount       stage = "newAccount"
	atNewOrder      stage = "newOrder"
	atOrder         stage = "order"
	atAuthorization stage = "authorization"
	atChallenge     stage = "challenge"
	atFinalize      stage = "finalize"
	atProcessing    stage = "order after finalize"
	atCertificate   stage = "certificate"
	// no requests: the CA accepts them, and reports a problem in the object
	atValidation stage = "result of the validation"
	atIssuance   stage = "result of the issuance"
)

// stages are in the order in which they occur.
var stages = []stage{atDirectory, atNonce, atAccount, atNewOrder, atOrder, atAuthorization,
	atChallenge, atValidation, atFinalize, atProcessing, atIssuance, atCertificate}

// stageOf returns the step of a request to the CA.
func (a *ca) stageOf(r *http.Request) stage {
	first, id, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch first {
	case "directory":
		return atDirectory
	case "nonce":
		return atNonce
	case "account":
		return atAccount
	case "authorization":
		return atAuthorization
	case "challenge":
		return atChallenge
	case "finalize":
		return atFinalize
	case "certificate":
		return atCertificate
	case "order":
		a.mu.Lock()
		defer a.mu.Unlock()
		switch o := a.orders[id]; {
		case id == "":
			return atNewOrder
		case o != nil && !o.sentAt.IsZero():
			return atProcessing
		}
		return atOrder
	}
	return ""
}

// nameOf returns the name of the authorization or challenge of a request, or "" for others.
func (a *ca) nameOf(r *http.Request) string {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if len(parts) != 3 {
		return ""
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	n, err := strconv.Atoi(parts[2])
	if o := a.orders[parts[1]]; err == nil && o != nil && n < len(o.proofs) {
		return o.proofs[n].name
	}
	return ""
}

// harm is one way in which a CA misbehaves at a step.
type harm struct {
	name string
	kind string // last part of the type of a problem document; empty for other harms
	// problem is the problem document, for the stages that are results
	problem any
	at      []stage // the stages at which it can occur
	do      func(*exchange)
}

// exchange is a request to a CA that misbehaves.
type exchange struct {
	ca    *ca
	w     http.ResponseWriter
	r     *http.Request
	next  http.Handler
	stage stage
}

// process has the CA process the request, and returns its response.
func (x *exchange) process() *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	x.next.ServeHTTP(rec, x.r)
	return rec
}

// reply sends a response. It has a nonce, like every response of a CA to a POST.
func (x *exchange) reply(status int, header http.Header, body string) {
	for key, values := range header {
		x.w.Header()[key] = values
	}
	if x.r.Method == http.MethodPost {
		x.w.Header().Set("Replay-Nonce", x.ca.nonce())
	}
	x.w.WriteHeader(status)
	_, _ = x.w.Write([]byte(body))
}

// refuse sends a problem document instead of processing the request.
func (x *exchange) refuse(a answer, retryAfter string) {
	body, _ := json.Marshal(a.body)
	header := http.Header{"Content-Type": {"application/problem+json"}}
	if retryAfter != "" {
		header.Set("Retry-After", retryAfter)
	}
	x.reply(a.status, header, string(body))
}

// replace has the CA process the request, and sends another body.
func (x *exchange) replace(contentType string, change func(body string) string) {
	rec := x.process()
	header := rec.Header().Clone()
	if contentType != "" {
		header.Set("Content-Type", contentType)
	}
	if x.r.Method == http.MethodHead {
		header.Del("Replay-Nonce")
	}
	x.reply(rec.Code, header, change(rec.Body.String()))
}

// edit has the CA process the request, and changes fields of the object in its response.
func (x *exchange) edit(change func(header http.Header, object map[string]any)) {
	rec := x.process()
	var object map[string]any
	if rec.Code >= 300 || json.Unmarshal(rec.Body.Bytes(), &object) != nil {
		x.reply(rec.Code, rec.Header(), rec.Body.String())
		return
	}
	change(rec.Header(), object)
	body, _ := json.Marshal(object)
	x.reply(rec.Code, rec.Header(), string(body))
}

var (
	requests = []stage{atDirectory, atNonce, atAccount, atNewOrder, atOrder, atAuthorization,
		atChallenge, atFinalize, atProcessing, atCertificate}
	withBody = []stage{atDirectory, atAccount, atNewOrder, atOrder, atAuthorization, atChallenge,
		atFinalize, atProcessing, atCertificate}
	objects = []stage{atAccount, atNewOrder, atOrder, atAuthorization, atChallenge, atFinalize,
		atProcessing}
	waiting = []stage{atNewOrder, atOrder, atAuthorization, atChallenge, atFinalize, atProcessing}
	results = []stage{atValidation, atIssuance}
)

// problemTypes are those of RFC 8555 §6.7, RFC 9773 §7.4, and the profiles draft, with the statuses
// with which CAs send them.
var problemTypes = []struct {
	kind   string
	status int
}{
	{"accountDoesNotExist", 400}, {"alreadyRevoked", 400}, {"badCSR", 400}, {"badNonce", 400},
	{"badPublicKey", 400}, {"badRevocationReason", 400}, {"badSignatureAlgorithm", 400},
	{"caa", 403}, {"compound", 400}, {"connection", 400}, {"dns", 400},
	{"externalAccountRequired", 403}, {"incorrectResponse", 403}, {"invalidContact", 400},
	{"malformed", 400}, {"orderNotReady", 403}, {"rateLimited", 503},
	{"rejectedIdentifier", 400}, {"serverInternal", 500}, {"tls", 400}, {"unauthorized", 403},
	{"unsupportedContact", 400}, {"unsupportedIdentifier", 400}, {"userActionRequired", 403},
	{"invalidProfile", 400}, {"alreadyReplaced", 409},
}

// retryAfters are values of Retry-After. A CA's clock determines the date.
var retryAfters = []string{"-1", "0", "60", "86400", "2592000", "past"}

// monthLimit is the name of a 429 with a Retry-After of 30 days.
const monthLimit = "429 for 30 days"

// healthy is the name of the harm without an effect: the CA works.
const healthy = "none"

// harms returns all harms.
func harms() []harm {
	all := []harm{{name: healthy, at: []stage{atDirectory},
		do: func(x *exchange) { x.next.ServeHTTP(x.w, x.r) }}}
	for _, p := range problemTypes {
		refusal := problem(p.status, p.kind, "a problem of type %s", p.kind)
		if p.kind == "compound" {
			refusal.body.(map[string]any)["subproblems"] = []any{
				problem(400, "rejectedIdentifier", "policy forbids the name").body}
		}
		all = append(all, harm{p.kind, p.kind, refusal.body,
			append(requests[:len(requests):len(requests)], results...),
			func(x *exchange) { x.refuse(refusal, "") }})
	}
	refusal := func(name, kind string, at []stage, a answer, retryAfter string) {
		all = append(all, harm{name: name, kind: kind, at: at,
			do: func(x *exchange) { x.refuse(a, retryAfter) }})
	}
	refusal("404", "malformed", requests, problem(404, "malformed", "not found"), "")
	refusal("409", "malformed", requests, problem(409, "malformed", "conflict"), "")
	limited := problem(429, "rateLimited", "a limit of this CA's own, see https://ca.example/limits")
	refusal("429", "rateLimited", requests, limited, "")
	refusal("429 for an hour", "rateLimited", requests, limited, "3600")
	refusal(monthLimit, "rateLimited", requests, limited, "2592000")
	refusal("paused", "paused", []stage{atNewOrder}, problem(429, "rateLimited",
		"Your account is temporarily prevented from requesting certificates for %s and possibly others. Please visit: https://portal.ca.example/unpause?jwt=abc", cellName), "")
	page := func(status int) func(x *exchange) {
		return func(x *exchange) {
			x.reply(status, http.Header{"Content-Type": {"text/html"}}, "<html><h1>A page</h1></html>")
		}
	}
	body := func(contentType string, change func(string) string) func(x *exchange) {
		return func(x *exchange) { x.replace(contentType, change) }
	}
	constant := func(text string) func(string) string { return func(string) string { return text } }
	all = append(all,
		harm{name: "404 page", at: requests, do: page(404)},
		harm{name: "500 page", at: requests, do: page(500)},
		harm{name: "503 page", at: requests, do: page(503)},
		harm{name: "500 after processing", at: requests, do: func(x *exchange) {
			x.process()
			x.refuse(problem(500, "serverInternal", "internal error"), "")
		}},
		harm{name: "page", at: withBody,
			do: body("text/html", constant("<html><h1>A page</h1></html>"))},
		harm{name: "empty body", at: requests, do: body("", constant(""))},
		harm{name: "null", at: withBody, do: body("", constant("null"))},
		harm{name: "truncated", at: withBody,
			do: body("", func(s string) string { return s[:len(s)/2] })},
		harm{name: "unknown status", at: objects, do: func(x *exchange) {
			x.edit(func(_ http.Header, object map[string]any) { object["status"] = "frobnicated" })
		}},
		harm{name: "reset", at: requests, do: func(*exchange) { panic(http.ErrAbortHandler) }},
		harm{name: "reset after processing", at: requests, do: func(x *exchange) {
			x.process()
			panic(http.ErrAbortHandler)
		}},
	)
	for _, value := range retryAfters {
		text := func(x *exchange) string {
			if value == "past" {
				return x.ca.clock.Now().Add(-day).Format(http.TimeFormat)
			}
			return value
		}
		all = append(all,
			harm{name: fmt.Sprintf("503 with Retry-After %s", value), at: requests,
				do: func(x *exchange) {
					x.refuse(problem(503, "serverInternal", "maintenance"), text(x))
				}},
			harm{name: fmt.Sprintf("unfinished with Retry-After %s", value), at: waiting,
				do: func(x *exchange) { x.unfinished(text(x)) }})
	}
	return all
}

// unfinished shows the object as pending or processing, with Retry-After.
func (x *exchange) unfinished(retryAfter string) {
	x.edit(func(header http.Header, object map[string]any) {
		header.Set("Retry-After", retryAfter)
		switch x.stage {
		case atChallenge, atFinalize, atProcessing:
			object["status"] = "processing"
		default:
			object["status"] = "pending"
		}
		delete(object, "certificate")
	})
}

// often is how often a fault occurs.
type often string

const (
	once    often = "once"
	twice   often = "twice"
	forever often = "forever"
)

// fortune is how long a fault that occurs forever lasts.
const fortune = 3 * time.Hour
