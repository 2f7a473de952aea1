package dashboard

import (
	"encoding/pem"
	"net/http"

	"github.com/gorilla/mux"
)

// downloadCertificate responds with public parts of a certificate as PEM.
func (d *Dashboard) downloadCertificate(w http.ResponseWriter, v *visit) error {
	c, _, err := d.certificate(v)
	if err != nil {
		return err
	}
	part := mux.Vars(v.Request)["part"]
	serveAttachment(w, "application/x-pem-file", fileStem(c)+"-"+part+".pem", []byte(partOf(c.ChainPEM, part)))
	return nil
}

// partOf returns the leaf of a chain, the rest of it, or the whole chain.
func partOf(chain, part string) string {
	_, rest := pem.Decode([]byte(chain))
	switch part {
	case "leaf":
		return chain[:len(chain)-len(rest)]
	case "chain":
		return string(rest)
	}
	return chain
}
