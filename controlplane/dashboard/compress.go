package dashboard

import (
	"net/http"

	"github.com/klauspost/compress/gzhttp"
)

const (
	// compressedSize is the size in bytes from which a response is compressed: a packet's.
	compressedSize = 1400

	// jitter is the maximum number of random bytes that hide the exact size of a compressed page
	// (BREACH, https://breachattack.com).
	jitter = 64
)

// compressedTypes are the types that are compressed. Downloads of keys and certificates are not,
// and an event stream must not be delayed.
var compressedTypes = []string{"text/html", "text/css", "text/javascript", "image/svg+xml",
	"text/csv"}

// compressed returns h with responses in gzip for clients that accept it (RFC 9110 §8.4.1.3).
func compressed(h http.Handler) (http.Handler, error) {
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(compressedSize), gzhttp.EnableZstd(false),
		gzhttp.ContentTypes(compressedTypes), gzhttp.RandomJitter(jitter, 0, false))
	if err != nil {
		return nil, err
	}
	return wrap(h), nil
}

// uncompressed excludes a response with a secret: the size of a compressed page can reveal what it
// has in common with text that an attacker chooses.
func uncompressed(w http.ResponseWriter) { w.Header().Set(gzhttp.HeaderNoCompression, "1") }
