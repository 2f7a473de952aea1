package devstack

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const dnsMessageType = "application/dns-message" // RFC 8484 §6

// routes returns the playground's HTTP handler. Requests are not authenticated, but pages of other
// origins can't write (http.CrossOriginProtection).
func (p *Playground) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /records", p.listRecords)
	mux.HandleFunc("PUT /records", p.putRecord)
	mux.HandleFunc("DELETE /records", p.deleteRecord)
	mux.HandleFunc("GET /dns-query", p.doh)
	mux.HandleFunc("POST /dns-query", p.doh)
	p.pageRoutes(mux)
	return http.NewCrossOriginProtection().Handler(mux)
}

func (p *Playground) listRecords(w http.ResponseWriter, _ *http.Request) {
	writePlaygroundJSON(w, http.StatusOK, "application/json", p.store.list())
}

// putRecord replaces a record set. Its body is {"name","type","values":[…],"ttl"}.
func (p *Playground) putRecord(w http.ResponseWriter, r *http.Request) {
	body := struct {
		Name   string   `json:"name"`
		Type   string   `json:"type"`
		Values []string `json:"values"`
		TTL    *int     `json:"ttl"`
	}{}
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&body); err != nil {
		writePlaygroundError(w, malformedRecord(err))
		return
	}
	ttl := 60
	if body.TTL != nil {
		ttl = *body.TTL
	}
	set, err := p.store.set(body.Name, body.Type, body.Values, ttl)
	if err != nil {
		writePlaygroundError(w, err)
		return
	}
	writePlaygroundJSON(w, http.StatusOK, "application/json", set)
}

// deleteRecord removes the records of ?name=&type=, or of all types without type. It returns 204
// even without records.
func (p *Playground) deleteRecord(w http.ResponseWriter, r *http.Request) {
	if _, err := p.store.remove(r.FormValue("name"), r.FormValue("type")); err != nil {
		writePlaygroundError(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// doh implements DNS over HTTPS (RFC 8484).
func (p *Playground) doh(w http.ResponseWriter, r *http.Request) {
	var raw []byte
	var err error
	if r.Method == http.MethodPost {
		if r.Header.Get("Content-Type") != dnsMessageType {
			http.Error(w, "the body must be "+dnsMessageType, http.StatusUnsupportedMediaType)
			return
		}
		raw, err = io.ReadAll(http.MaxBytesReader(w, r.Body, math.MaxUint16))
	} else {
		raw, err = base64.RawURLEncoding.DecodeString(r.FormValue("dns"))
	}
	q := new(dns.Msg)
	if err == nil {
		err = q.Unpack(raw)
	}
	if err != nil || q.Response {
		http.Error(w, "malformed DNS query", http.StatusBadRequest)
		return
	}
	m := p.answer(r.Context(), q, true)
	out, err := m.Pack()
	if err != nil {
		p.log.Error("packing a playground answer failed", "error", err)
		http.Error(w, "packing the answer failed", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", dnsMessageType)
	w.Header().Set("Cache-Control", "max-age="+strconv.Itoa(minTTL(m))) // RFC 8484 §5.1
	_, _ = w.Write(out)
}

func minTTL(m *dns.Msg) int {
	ttl, found := uint32(math.MaxInt32), false
	for _, rrs := range [][]dns.RR{m.Answer, m.Ns} {
		for _, rr := range rrs {
			ttl, found = min(ttl, rr.Header().Ttl), true
		}
	}
	if !found {
		return 0
	}
	return int(ttl)
}

// malformedRecord returns an error for a malformed body. It names the field if the decoder does.
func malformedRecord(err error) error {
	out := &controlplane.Error{
		Kind: controlplane.KindMalformed,
		Code: "malformed-body", Message: "Malformed record set: " + err.Error() + ".",
		Fix: `Send {"name":"_acme-challenge.example.com","type":"CNAME","values":["target.example.net"],"ttl":60}.`,
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		out.Fields = []controlplane.FieldError{{Pointer: "/" + e.Field,
			Code: "wrong-type", Detail: fmt.Sprintf("A JSON %s is not allowed here.", e.Value)}}
	}
	return out
}

// writePlaygroundError sends an error as application/problem+json (RFC 9457).
func writePlaygroundError(w http.ResponseWriter, err error) {
	e := controlplane.AsError(err)
	status := playgroundStatus(e)
	writePlaygroundJSON(w, status, "application/problem+json", struct {
		Title  string                    `json:"title"`
		Status int                       `json:"status"`
		Code   string                    `json:"code"`
		Detail string                    `json:"detail"`
		Fix    string                    `json:"fix"`
		Errors []controlplane.FieldError `json:"errors,omitempty"`
	}{http.StatusText(status), status, e.Code, e.Message, e.Fix, e.Fields})
}

func playgroundStatus(e *controlplane.Error) int {
	switch e.Kind {
	case controlplane.KindMalformed:
		return http.StatusBadRequest
	case controlplane.KindConflict:
		return http.StatusConflict
	case controlplane.KindInvalid:
		return http.StatusUnprocessableEntity
	default:
		return http.StatusInternalServerError
	}
}

func writePlaygroundJSON(w http.ResponseWriter, status int, contentType string, v any) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
