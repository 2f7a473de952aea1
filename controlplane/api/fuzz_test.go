package api

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// FuzzRequest sends arbitrary bodies, as JSON and CSV, paths, and queries to every operation with a
// body. None may cause a server error.
func FuzzRequest(f *testing.F) {
	w := newWorld(f)
	e := w.newEstate(w.org, "fuzz.example.com")
	ops := slices.DeleteFunc(w.secured(), func(op *operation) bool {
		// Without the token, the other checks would not be reached.
		return op.body == nil || op.id == "revokeAllTokens" || op.id == "rotateToken"
	})
	for i, op := range ops {
		path, _ := op.request(e)
		name := strings.TrimPrefix(path[strings.LastIndexByte(path, '/'):], "/")
		for _, body := range []string{`{}`,
			`{"name":"a.example.com","labels":{"a":"b"},"csr_pem":"x","expires_at":null}`,
			`{"domains":[{"name":"a"},{}]}`, `{"name":`, `[]`,
			`{"reason":"superseded","replace":true,"scopes":["domains:read"],"name":"x"}`,
			`{"a":1,"a":"\u0000","name":1e999}`, `{"url":"https://x@[::1]:0/","events":["*"]}`} {
			f.Add(uint8(i), name, "", false, []byte(body))
		}
		f.Add(uint8(i), "%00", "x=%zz&limit=5", true,
			[]byte("name,labels\na.example.com,\"k=v\n\""))
		f.Add(uint8(i), name, "", true, []byte("sep=;\rname;ca\ra.example.com;\"x\"y\rb\xff;\r"))
		f.Add(uint8(i), name, "", true, []byte("\xff\xfen\x00a\x00m\x00e\x00\n\x00\x00\xd8"))
	}
	f.Fuzz(func(t *testing.T, which uint8, name, query string, csv bool, body []byte) {
		op := ops[int(which)%len(ops)]
		if strings.Contains(query, "wait") {
			t.Skip() // it would
		}
		segments := strings.Split(op.path, "/")
		for i, s := range segments {
			if strings.HasPrefix(s, "{") {
				segments[i] = url.PathEscape(name)
			}
		}
		r, err := http.NewRequestWithContext(t.Context(), op.method, "http://x"+
			strings.Join(segments, "/"), bytes.NewReader(body))
		if err != nil {
			t.Skip() // it cannot be sent
		}
		r.URL.RawQuery = query
		r.RemoteAddr = "192.0.2.1:1"
		r.Header.Set("Content-Type", mediaJSON)
		if csv {
			r.Header.Set("Content-Type", mediaCSV)
		}
		as(w.token)(r)
		answer := httptest.NewRecorder()
		w.api.ServeHTTP(answer, r)
		if answer.Code >= http.StatusInternalServerError || answer.Code == http.StatusUnauthorized {
			t.Fatalf("%s %q = %d: %s, want no 5xx and no 401\n%s", op.id, name, answer.Code,
				answer.Body, w.log)
		}
	})
}
