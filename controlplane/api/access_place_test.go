package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres/postgrestest"
)

// withQuery returns the path with a query parameter set.
func withQuery(path, name, value string) string {
	path, query, _ := strings.Cut(path, "?")
	q, err := url.ParseQuery(query)
	if err != nil {
		panic(err) // the test's own
	}
	q.Set(name, value)
	return path + "?" + q.Encode()
}

// sent returns the text of a request, which a response can repeat.
func sent(path string, body any) string {
	b, _ := json.Marshal(body) // maps, lists, and texts
	plain, _ := url.PathUnescape(path)
	query, _ := url.QueryUnescape(path)
	return path + "\n" + plain + "\n" + query + "\n" + string(b)
}

// hides fails the test if the body or a header of the response has one of the texts and the request
// did not have it. A 403 can contain the named one.
func (w *world) hides(
	op *operation, a *answer, texts []string, path string, body any, named ...string,
) {
	w.t.Helper()
	var headers strings.Builder
	_ = http.Header.Write(a.header, &headers)
	asked := sent(path, body)
	if a.status == http.StatusForbidden {
		asked += strings.Join(named, "\n")
	}
	for _, text := range texts {
		if !strings.Contains(asked, text) &&
			(strings.Contains(a.body, text) || strings.Contains(headers.String(), text)) {
			w.t.Errorf("%s %s shows %q, which is not the caller's: %d %s\n%s", op.method, path,
				text, a.status, headers.String(), a.body)
		}
	}
}

// foreign is a text of another organization, and one of the same form that names nothing. The two
// are indistinguishable.
type foreign struct{ value, nothing string }

var typeID = regexp.MustCompile(`\b[a-z]{3}_[0-9a-hjkmnp-tv-z]{26}\b`)

// victim is another organization without open work, with more than one of everything that is
// listed.
type victim struct {
	tenancy
	word   string
	second estate
	token  option
	rows   postgrestest.Rows
	texts  []string // that no one else has
	values []foreign
}

// newVictim creates a victim whose names contain a unique word.
func (w *world) newVictim(word string) *victim {
	w.t.Helper()
	v := &victim{tenancy: w.newTenancy(word + ".example.net"), word: word}
	w.exec(`UPDATE organizations SET name = $2 WHERE id = $1`, v.org, word+" Incorporated")
	v.second = w.newEstate(v.org, "second."+word+".example.net")
	w.newCertificate(v.e.domain, false)
	v.token = tokenWith(controlplane.Scopes()...)(w, v.tenancy)
	w.do("PATCH", "/api/domains/"+v.e.domain.ID,
		map[string]any{"labels": map[string]any{word + "-label": word + "-value"}}, v.token).is(200)
	w.do("PATCH", "/api/webhooks/"+v.e.webhook.ID,
		map[string]any{"description": "the hook of " + word, "url": "https://hooks." + word +
			".example.net/"}, v.token).is(200)
	w.do("PATCH", "/api/tokens/"+v.e.token.ID, map[string]any{"name": "the token of " + word},
		v.token).is(200)
	w.exec(`UPDATE certificates SET serial = md5($2), fingerprint_sha256 = md5(id) || md5(id), issuer = $2 || ' CA' WHERE org_id = $1`, v.org, word)
	w.person(v.org, controlplane.RoleOwner)
	return v
}

// rest records the state of the victim. twin was created in the same way, so texts that both have
// belong to the service.
func (w *world) rest(v, twin *victim) {
	w.t.Helper()
	v.rows = postgrestest.RowsOf(w.t, w.dsn, v.org)
	v.texts = append(v.rows.Texts(postgrestest.RowsOf(w.t, w.dsn, twin.org)), v.org)
	ids := map[string]string{"org": v.org}
	for _, text := range v.texts {
		if typeID.FindString(text) == text {
			prefix, _, _ := strings.Cut(text, "_")
			ids[prefix] = text
		}
	}
	for _, e := range []string{v.e.domain.ID, v.e.job.ID, v.e.certificate.ID, v.e.token.ID,
		v.e.delegation.ID, v.e.member.User.ID, v.e.invitation.ID, v.e.webhook.ID, v.e.delivery.ID,
		v.e.connection.ID, v.e.acmedns.ID, v.e.key.ID, v.e.session.ID} {
		prefix, _, _ := strings.Cut(e, "_")
		ids[prefix] = e // those that belong together
	}
	for _, prefix := range slices.Sorted(maps.Keys(ids)) {
		v.values = append(v.values, foreign{ids[prefix], controlplane.NewID(prefix)})
	}
	const nothing = "numbat"
	v.values = append(v.values,
		foreign{v.e.domain.Name, nothing + ".example.net"},
		foreign{v.e.domain.Target, strings.Repeat("a", len(v.e.domain.Target))},
		foreign{v.e.member.User.Login, account().Login})
	for _, form := range []string{"%s Incorporated", "%s-label", "%s-value",
		"https://hooks.%s.example.net/"} {
		v.values = append(v.values, foreign{fmt.Sprintf(form, v.word), fmt.Sprintf(form, nothing)})
	}
}

// TestAccessOfPlaces calls every operation with IDs and names of another organization in each place
// of a request. The response is that for a missing object, shows nothing of the other organization,
// and changes nothing there.
func TestAccessOfPlaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v, twin := w.newVictim("quokka"), w.newVictim("wombat")
	cursors := w.cursors(v)
	w.rest(v, twin)
	t.Run("walk", func(t *testing.T) {
		for _, op := range w.all() {
			t.Run(op.id, func(t *testing.T) {
				t.Parallel()
				w := w.in(t)
				own := w.newTenancy("own.example.com")
				w.exec(`UPDATE organizations SET subscription_tier = 'agency' WHERE id = $1`,
					own.org)
				if !op.secured {
					w.walkPath(op, own, v, "nobody", anonymous)
					return
				}
				callers := map[string]option{
					"a token":            tokenWith(controlplane.Scopes()...)(w, own),
					"an owner's session": w.person(own.org, controlplane.RoleOwner).cookie,
				}
				for name, caller := range callers {
					w.walkPath(op, own, v, name, caller)
					w.walkCursor(op, own, v, cursors[op.id], caller)
					w.walkQuery(op, own, v, caller)
					w.walkHeaders(op, own, v, caller)
				}
				for _, caller := range callers {
					// room for webhooks
					w.exec(`UPDATE webhooks SET deleted_at = now() WHERE org_id = $1 AND id <> $2`,
						own.org, own.e.webhook.ID)
					w.walkBody(op, own, v, caller)
				}
			})
		}
	})
	if diff := postgrestest.RowsOf(t, w.dsn, v.org).Diff(v.rows); diff != "" {
		t.Errorf("another organization's rows were changed:\n%s", diff)
	}
}

// both makes two calls that differ only in a foreign text, and returns the response to the one with
// the other organization's text.
func (w *world) both(
	op *operation, v *victim, f foreign,
	call func(value string) (path string, body any, options []option),
) *answer {
	w.t.Helper()
	ask := func(value string) (*answer, string, any) {
		path, body, options := call(value)
		a := w.do(op.method, path, body, append([]option{anonymous}, options...)...)
		return a, path, body
	}
	theirs, path, body := ask(f.value)
	texts := v.texts
	// it may show what an earlier call has stored
	if body != nil && theirs.status < http.StatusBadRequest {
		texts = slices.DeleteFunc(slices.Clone(texts), func(text string) bool {
			return slices.ContainsFunc(v.values,
				func(f foreign) bool { return strings.Contains(f.value, text) })
		})
	}
	w.hides(op, theirs, texts, path, body)
	nothing, _, _ := ask(f.nothing)
	if got, want := outcome(theirs, f.value), outcome(nothing, f.nothing); got != want {
		w.t.Errorf("%s %s %s can be told from what does not exist:\n%s\nwant\n%s", op.method, path,
			sent("", body), got, want)
	}
	return theirs
}

// outcome returns the part of a response that is the same for two texts that both name no object of
// the caller: for a 404 every word, for other problems only the invalid fields, because details can
// depend on the text.
func outcome(a *answer, value string) string {
	switch {
	case a.status < http.StatusBadRequest:
		return "success"
	case a.status != http.StatusNotFound:
		text := fmt.Sprint(a.status, " ", a.json["code"])
		list, _ := a.json["errors"].([]any)
		for _, e := range list {
			text += fmt.Sprint(" ", e.(map[string]any)["code"])
		}
		return text
	}
	escaped, _ := json.Marshal(value)
	return "404 " + typeID.ReplaceAllString(strings.ReplaceAll(a.body,
		strings.Trim(string(escaped), `"`), "VALUE"), "ID")
}

// walkPath puts foreign texts into each path parameter, alone and together.
func (w *world) walkPath(op *operation, own tenancy, v *victim, name string, caller option) {
	w.t.Helper()
	expect := func(a *answer, path string) {
		w.t.Helper()
		if err := op.notFound().check(a); err != nil {
			w.t.Errorf("%s %s of another organization as %s: %v", op.method, path, name, err)
		}
	}
	if len(op.params()) == 0 {
		return
	}
	theirs, body := op.request(v.e)
	a := w.do(op.method, theirs, body, anonymous, caller)
	w.hides(op, a, v.texts, theirs, body)
	expect(a, theirs)
	ours, body := op.request(own.e)
	for i, part := range strings.Split(op.path, "/") {
		if !strings.HasPrefix(part, "{") {
			continue
		}
		for _, f := range v.values {
			expect(w.both(op, v, f, func(value string) (string, any, []option) {
				path, query, _ := strings.Cut(ours, "?")
				parts := strings.Split(path, "/")
				parts[i] = url.PathEscape(value)
				return strings.TrimSuffix(strings.Join(parts, "/")+"?"+query, "?"), body,
					[]option{caller}
			}), part+" "+f.value)
		}
	}
}

// notFound returns the result of a call about an object that does not exist or belongs to another
// organization. A caller that cannot make the call at all is rejected first.
func (op *operation) notFound() want {
	return want{problems: []string{"404 not-found", "404 no-such-path"},
		rights: op.session || slices.Contains(grantsRights, op.id)}
}

// walkQuery puts foreign texts into each query parameter that accepts one.
func (w *world) walkQuery(op *operation, own tenancy, v *victim, caller option) {
	w.t.Helper()
	ours, body := op.request(own.e)
	for name, p := range op.query {
		if !w.holdsText(op, name, p.schema) {
			continue
		}
		for _, f := range v.values {
			w.both(op, v, f, func(value string) (string, any, []option) {
				return withQuery(ours, name, value), body, []option{caller}
			})
		}
	}
}

// walkHeaders does the same with headers, and opens a stream with each.
func (w *world) walkHeaders(op *operation, own tenancy, v *victim, caller option) {
	w.t.Helper()
	ours, body := op.request(own.e)
	for name, p := range op.headers {
		// TestAccessOfIdempotencyKeys
		if name == headerIdempotencyKey || !w.holdsText(op, name, p.schema) {
			continue
		}
		for _, f := range v.values {
			w.both(op, v, f, func(value string) (string, any, []option) {
				return ours, body,
					[]option{caller, header(name, value)}
			})
			if op.streams {
				w.walkStream(op, own, v, ours, f, caller, name)
			}
		}
	}
}

// walkStream opens a stream with a foreign text in a header, and reads it up to a later event.
func (w *world) walkStream(
	op *operation, own tenancy, v *victim, path string, f foreign, caller option, name string,
) {
	w.t.Helper()
	var statuses [2]int
	for i, value := range []string{f.value, f.nothing} {
		ctx, stop := context.WithCancel(w.t.Context())
		r, err := http.NewRequestWithContext(ctx, op.method, w.server.URL+path, nil)
		if err != nil {
			w.t.Fatal(err)
		}
		r.Header.Set("Accept", "text/event-stream")
		r.Header.Set(name, value)
		caller(r)
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			w.t.Fatal(err)
		}
		statuses[i] = resp.StatusCode
		a := &answer{t: w.t, status: resp.StatusCode, header: resp.Header}
		last := ""
		if resp.StatusCode == http.StatusOK {
			last = w.newDomain(own.org, unusedName()).ID
		}
		for lines := bufio.NewScanner(resp.Body); lines.Scan() &&
			(last == "" || !strings.Contains(a.body, last)); {
			a.body += lines.Text() + "\n"
		}
		if last != "" && !strings.Contains(a.body, last) {
			w.t.Errorf("the stream with %s: %s ended before the organization's own event %s:\n%s",
				name, value, last, a.body)
		}
		stop()
		_ = resp.Body.Close()
		w.hides(op, a, v.texts, path+value, nil)
	}
	if statuses[0] != statuses[1] {
		w.t.Errorf("the stream with %s: %s has status %d, and with what does not exist %d", name,
			f.value, statuses[0], statuses[1])
	}
}

// holdsText reports whether a parameter or field accepts any text. Others have enumerated values,
// numbers, or times.
func (w *world) holdsText(op *operation, name string, s *openapi3.Schema) bool {
	w.t.Helper()
	switch {
	case s.Type.Is(openapi3.TypeString):
		return len(s.Enum) == 0 && s.Format == "" && s.Pattern == ""
	case s.Type.Is(openapi3.TypeArray):
		return s.Items != nil && w.holdsText(op, name, s.Items.Value)
	case s.Type.Is(openapi3.TypeInteger), s.Type.Is(openapi3.TypeNumber),
		s.Type.Is(openapi3.TypeBoolean):
		return false
	}
	w.t.Errorf("%s: it is not known how to put an id into %s, which is %v. Say so in holdsText or fields (access_place_test.go)", op.id, name, s.Type)
	return false
}

// field is a place in a body.
type field struct {
	name string
	put  func(body map[string]any, value string)
}

// fields returns the places in a body that accept any text. at returns the object of the schema
// within a body.
func (w *world) fields(
	op *operation, s *openapi3.Schema, prefix string, at func(body map[string]any) map[string]any,
) []field {
	w.t.Helper()
	properties := openapi3.Schemas{}
	for _, part := range append(openapi3.SchemaRefs{{Value: s}}, s.AllOf...) {
		maps.Copy(properties, part.Value.Properties)
	}
	var found []field
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		p := properties[name].Value
		add := func(value func(text string) any) {
			found = append(found, field{prefix + "/" + name,
				func(body map[string]any, text string) { at(body)[name] = value(text) }})
		}
		inside := func(body map[string]any) map[string]any {
			object, ok := at(body)[name].(map[string]any)
			if !ok {
				object = map[string]any{}
				at(body)[name] = object
			}
			return object
		}
		switch {
		case p.Type.Is(openapi3.TypeArray) && p.Items.Value.Type.Is(openapi3.TypeObject):
			found = append(found, w.fields(op, p.Items.Value, prefix+"/"+name+
				"/0", func(body map[string]any) map[string]any {
				list, _ := at(body)[name].([]any)
				if len(list) == 0 {
					list = []any{map[string]any{}}
					at(body)[name] = list
				}
				return list[0].(map[string]any)
			})...)
		case p.Type.Is(openapi3.TypeObject) && p.AdditionalProperties.Schema != nil:
			add(func(text string) any { return map[string]any{"key": text} })
			add(func(text string) any { return map[string]any{text: "value"} })
		case p.Type.Is(openapi3.TypeObject):
			found = append(found, w.fields(op, p, prefix+"/"+name, inside)...)
		case !w.holdsText(op, name, p):
		case p.Type.Is(openapi3.TypeArray):
			add(func(text string) any { return []any{text} })
		default:
			add(func(text string) any { return text })
		}
	}
	return found
}

// walkBody puts foreign texts into each field of the body that accepts one, and into CSV.
func (w *world) walkBody(op *operation, own tenancy, v *victim, caller option) {
	w.t.Helper()
	if op.body == nil {
		return
	}
	for _, place := range w.fields(op, op.body,
		"", func(body map[string]any) map[string]any { return body }) {
		for _, f := range v.values {
			w.both(op, v, f, func(value string) (string, any, []option) {
				path, base := op.request(own.e)
				body, ok := base.(map[string]any)
				if !ok {
					w.t.Fatalf("%s: its body in operation.request (tenant_test.go) is %v, want an object", op.id, base)
				}
				place.put(body, value)
				return path, body, []option{caller}
			})
		}
	}
	for _, f := range v.values {
		if op.csv {
			w.both(op, v, f, func(value string) (string, any, []option) {
				path, _ := op.request(own.e)
				return path, "name\n" + value +
					"\n", []option{caller, header("Content-Type", mediaCSV)}
			})
		}
	}
}

// cursors returns where the second page of each of the victim's lists starts, by operation.
func (w *world) cursors(v *victim) map[string]string {
	w.t.Helper()
	found := map[string]string{}
	for _, op := range w.secured() {
		if _, ok := op.query["cursor"]; !ok {
			continue
		}
		caller := v.token
		if op.session {
			caller = v.e.cookie
		}
		path, _ := op.request(v.e)
		a := w.do(op.method, withQuery(path, "limit", "1"), nil, anonymous,
			caller).is(http.StatusOK)
		cursor, ok := a.json["next_cursor"].(string)
		if !ok {
			w.t.Fatalf("%s of the other organization has one page: add a second object to newVictim (access_place_test.go): %s", op.id, a.body)
		}
		found[op.id] = cursor
	}
	return found
}

// walkCursor continues another organization's list.
func (w *world) walkCursor(op *operation, own tenancy, v *victim, cursor string, caller option) {
	w.t.Helper()
	if cursor == "" {
		return
	}
	ours, _ := op.request(own.e)
	theirs, _ := op.request(v.e)
	for _, path := range []string{withQuery(ours, "cursor", cursor),
		withQuery(withQuery(ours, "cursor", cursor), "limit", "1"),
		withQuery(theirs, "cursor", cursor)} {
		a := w.do(op.method, path, nil, anonymous, caller)
		w.hides(op, a, v.texts, path, nil)
		if err := (want{problems: []string{"400 invalid-cursor", "404 not-found",
			"403 session-required"}}).check(a); err != nil {
			w.t.Errorf("%s %s with another organization's cursor: %v", op.method, path, err)
		}
	}
}

// secretText matches secrets that a response shows once, and IDs.
var secretText = regexp.MustCompile(`[A-Za-z0-9_+/=-]{20,}`)

// TestAccessOfIdempotencyKeys calls the operations with an Idempotency-Key that another
// organization has used: its response is not returned, and the call belongs to the caller.
func TestAccessOfIdempotencyKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	t.Run("walk", func(t *testing.T) {
		for _, op := range w.secured() {
			if op.once {
				t.Run(op.id, func(t *testing.T) {
					t.Parallel()
					w.in(t).walkKey(op)
				})
			}
		}
	})
}

func (w *world) walkKey(op *operation) {
	own, theirs, twin := w.newTenancy("own.example.com"), w.newTenancy("quokka.example.org"),
		w.newTenancy("wombat.example.org")
	w.settle(op, own.org, own.e)
	first, again := w.useKey(op, theirs, "shared"), w.useKey(op, twin, "another")
	path, body := op.request(theirs.e)
	before := postgrestest.RowsOf(w.t, w.dsn, theirs.org)
	texts := before.Texts(postgrestest.RowsOf(w.t, w.dsn, twin.org))
	for _, text := range secretText.FindAllString(first, -1) {
		if !strings.Contains(again, text) {
			texts = append(texts, text)
		}
	}
	for name, caller := range map[string]option{"a token": tokenWith(controlplane.Scopes()...)(w,
		own), "an owner's session": w.person(own.org, controlplane.RoleOwner).cookie} {
		a := w.do(op.method, path, body, anonymous, caller, key("shared"))
		w.hides(op, a, texts, path, body)
		if got := a.header.Get("Idempotency-Replayed"); got != "" && name == "a token" {
			w.t.Errorf("%s with another organization's key as %s: Idempotency-Replayed %q: %s",
				op.id, name, got, a.body)
		}
		if len(op.params()) > 0 {
			if err := op.notFound().check(a); err != nil &&
				a.json["code"] != "idempotency-key-reused" {
				w.t.Errorf("%s with another organization's key as %s: %v", op.id, name, err)
			}
		}
	}
	if diff := postgrestest.RowsOf(w.t, w.dsn, theirs.org).Diff(before); diff != "" {
		w.t.Errorf("%s with another organization's key changed its rows:\n%s", op.id, diff)
	}
}

// useKey makes the operation's call twice with an Idempotency-Key, and returns the response.
func (w *world) useKey(op *operation, in tenancy, k string) string {
	w.t.Helper()
	w.settle(op, in.org, in.e)
	path, body := op.request(in.e)
	var first *answer
	for _, caller := range []option{tokenWith(controlplane.Scopes()...)(w, in), in.e.cookie} {
		if first = w.do(op.method, path, body, anonymous, caller,
			key(k)); first.status < http.StatusBadRequest {
			if again := w.do(op.method, path, body, anonymous, caller,
				key(k)); again.header.Get("Idempotency-Replayed") != "true" {
				w.t.Errorf("%s: the key's own caller is not given the answer again: %d %s", op.id,
					again.status, again.body)
			}
			return first.body
		}
	}
	w.t.Fatalf("%s: the call fails, so its key is not used: %s", op.id, first.body)
	return ""
}
