package api

import (
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
	"testing"

	"software.sslmate.com/src/go-pkcs12"
)

func TestPKCS12(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.newDomain(w.org, "p12.example.com")
	c := w.newCertificate(d, false)
	path := "/api/certificates/" + c.ID + "/pkcs12"
	const password = "hunter2 dö-not-tell"
	taken := func() int {
		return w.count(
			`SELECT count(*) FROM audit_logs WHERE action = 'certificate.key_downloaded' AND entity_id = $1`, c.ID)
	}

	for _, x := range []struct{ body, code, pointer string }{
		{`{}`, "field-required", "/password field-required"},
		{`{"password":""}`, "password-empty", "/password password-empty"},
		{`{"password":"hunter2 🔑"}`, "password-characters", "/password password-characters"},
		{`{"password":"hunter2\u0000"}`, "invalid-character", "/password invalid-character"},
		{`{"password":["hunter2"]}`, "wrong-type", "/password wrong-type"},
		{`{"password":"` + strings.Repeat("hunter2", 147) + `"}`, "too-long", "/password too-long"},
	} {
		for _, o := range [][]option{nil, {key(x.code)}} {
			a := w.do("POST", path, x.body, o...).problem(422, x.code)
			if got := a.pointers(); !slices.Equal(got, []string{x.pointer}) ||
				strings.Contains(a.body, "hunter2") {
				t.Errorf("POST %s = %s, want pointers [%s] and no password", x.body, a.body,
					x.pointer)
			}
		}
	}
	if n := taken(); n != 0 {
		t.Errorf("%d records of a key that was not given", n)
	}

	body := map[string]any{"password": password}
	for i := range 2 { // the second file is created again
		a := w.do("POST", path, body, key("k")).is(200)
		for name, want := range map[string]string{"Content-Type": "application/x-pkcs12",
			"Cache-Control":       "no-store",
			"Content-Disposition": `attachment; filename="p12.example.com.p12"`} {
			if got := a.header.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		private, leaf, chain, err := pkcs12.DecodeChain([]byte(a.body), password)
		if err != nil {
			t.Fatal(err)
		}
		first, _ := pem.Decode([]byte(c.ChainPEM))
		der, err := x509.MarshalPKCS8PrivateKey(private)
		if string(leaf.Raw) != string(first.Bytes) || len(chain) != 1 || err != nil ||
			len(der) == 0 {
			t.Errorf("%d certificates follow, %v", len(chain), err)
		}
		if n := taken(); n != i+1 {
			t.Errorf("%d records of %d", n, i+1)
		}
	}
	w.do("POST", path, map[string]any{"password": "another"}, key("k")).problem(422,
		"idempotency-key-reused")
	w.do("POST", "/api/certificates/"+w.newCertificate(d, true).ID+"/pkcs12", body).problem(409,
		"key-not-held")
	if n := w.count(
		`SELECT count(*) FROM idempotency_keys WHERE status = 200 AND length(body) > 64`); n > 0 {
		t.Error("a file is kept")
	}
	if strings.Contains(w.log.String(), "hunter2") ||
		w.count(`SELECT count(*) FROM audit_logs a WHERE a::text LIKE '%hunter2%'`) > 0 {
		t.Error("a password was recorded")
	}
}
