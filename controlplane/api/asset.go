package api

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
)

// asset is a response that is the same for everyone. It is stored compressed.
type asset struct {
	contentType  string
	cacheControl string
	policy       string // Content-Security-Policy; empty for the default
	zipped       []byte
}

// compress returns b as an asset's body.
func compress(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write(b) // a buffer never fails
	_ = z.Close()
	return out.Bytes()
}

// write responds with the asset, compressed if the client accepts that.
func (a *asset) write(w http.ResponseWriter, takesGzip bool) error {
	h := w.Header()
	h.Set("Content-Type", a.contentType)
	h.Set("Cache-Control", a.cacheControl)
	h.Add("Vary", "Accept-Encoding")
	if a.policy != "" {
		h.Set("Content-Security-Policy", a.policy)
	}
	if takesGzip {
		h.Set("Content-Encoding", "gzip")
		_, err := w.Write(a.zipped)
		return err
	}
	z, err := gzip.NewReader(bytes.NewReader(a.zipped))
	if err != nil {
		return err
	}
	_, err = io.Copy(w, z)
	return err
}

// acceptsGzip reports whether the client accepts gzip (RFC 9110 §12.5.3).
func acceptsGzip(h http.Header) bool {
	for coding := range strings.SplitSeq(strings.Join(h.Values("Accept-Encoding"), ","), ",") {
		name, q, _ := strings.Cut(strings.ReplaceAll(coding, " ", ""), ";")
		if strings.EqualFold(name, "gzip") {
			return strings.Trim(strings.TrimPrefix(strings.ToLower(q), "q="), "0.") != "" || q == ""
		}
	}
	return false
}
