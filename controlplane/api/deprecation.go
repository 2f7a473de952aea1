package api

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// deprecation is the deprecation of an operation or a parameter in the contract: since when
// (x-deprecated-at), and when it is removed (x-sunset).
type deprecation struct {
	at     time.Time
	sunset time.Time // zero if not decided
}

// readDeprecation reads a deprecation from the extensions of a part of the contract. It returns nil
// if the part is not marked as deprecated, and an error if the extensions are missing or
// contradictory.
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
			return nil, fmt.Errorf("deprecated, but %s is invalid: %q is not an RFC 3339 time",
				name, text)
		}
	}
	if !d.sunset.IsZero() && d.sunset.Before(d.at) {
		return nil, fmt.Errorf("x-sunset is before x-deprecated-at")
	}
	return &d, nil
}

// setDeprecations sets the headers about deprecations that apply to the call: of the operation or
// a parameter that was sent (RFC 9745, RFC 8594). If several apply, the earliest one counts.
func (a *API) setDeprecations(h http.Header, r *http.Request, op *operation) {
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
		return // no deprecated parameter was sent
	}
	h.Set("Deprecation", "@"+strconv.FormatInt(first.at.Unix(), 10))
	h.Add("Link", "<"+a.config.PublicURL+`/api/reference>; rel="deprecation"; type="text/html"`)
	if !first.sunset.IsZero() {
		h.Set("Sunset", first.sunset.UTC().Format(http.TimeFormat))
	}
}

// earlier returns the earlier of two times; zero means no time.
func earlier(x, y time.Time) time.Time {
	if x.IsZero() || !y.IsZero() && y.Before(x) {
		return y
	}
	return x
}
