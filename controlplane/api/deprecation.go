package api

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// deprecation is what the contract says of an operation or a parameter that is marked
// deprecated: since when (x-deprecated-at), and from when on it is gone (x-sunset).
type deprecation struct {
	at     time.Time
	sunset time.Time // zero where that is not decided
}

// readDeprecation returns the deprecation that a part of the contract has among its
// extensions, nil where it is not marked. Its error says what is missing or contradicts.
func readDeprecation(marked bool, extensions map[string]any) (*deprecation, error) {
	if !marked {
		return nil, nil
	}
	var d deprecation
	for name, at := range map[string]*time.Time{"x-deprecated-at": &d.at, "x-sunset": &d.sunset} {
		text, sent := extensions[name].(string)
		if !sent && name == "x-sunset" {
			continue
		}
		var err error
		if *at, err = time.Parse(time.RFC3339, text); err != nil {
			return nil, fmt.Errorf("it is deprecated, and %s is %q, which is no time", name, text)
		}
	}
	if !d.sunset.IsZero() && d.sunset.Before(d.at) {
		return nil, fmt.Errorf("x-sunset is before x-deprecated-at")
	}
	return &d, nil
}

// tellDeprecations says in an answer's headers what of the call is going away: the operation
// or a parameter that was sent (RFC 9745, RFC 8594). Of several the first one to go counts.
func (a *API) tellDeprecations(h http.Header, r *http.Request, op *operation) {
	if !op.deprecates {
		return
	}
	used := []*deprecation{op.deprecated}
	for name := range r.URL.Query() {
		used = append(used, op.query[name].deprecated)
	}
	for name := range r.Header {
		used = append(used, op.headers[name].deprecated)
	}
	var first deprecation
	for _, d := range used {
		if d == nil {
			continue
		}
		first.at, first.sunset = earlier(first.at, d.at), earlier(first.sunset, d.sunset)
	}
	if first.at.IsZero() {
		return // what is deprecated was not sent
	}
	h.Set("Deprecation", "@"+strconv.FormatInt(first.at.Unix(), 10))
	h.Add("Link", "<"+a.config.PublicURL+`/api/reference>; rel="deprecation"; type="text/html"`)
	if !first.sunset.IsZero() {
		h.Set("Sunset", first.sunset.UTC().Format(http.TimeFormat))
	}
}

// earlier returns the earlier of two times; the zero value is none.
func earlier(x, y time.Time) time.Time {
	if x.IsZero() || !y.IsZero() && y.Before(x) {
		return y
	}
	return x
}
