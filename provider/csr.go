package provider

import (
	"bytes"
	"encoding/pem"
)

// sameCSR reports whether two texts contain the same CSR, regardless of white space around it.
func sameCSR(a, b string) bool {
	if a == b {
		return true
	}
	pa, _ := pem.Decode([]byte(a))
	pb, _ := pem.Decode([]byte(b))
	return pa != nil && pb != nil && bytes.Equal(pa.Bytes, pb.Bytes)
}
