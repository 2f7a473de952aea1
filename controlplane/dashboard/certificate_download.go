package dashboard

import (
	"net/http"

	"github.com/gorilla/mux"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

// downloadCertificate responds with public parts of a certificate as PEM.
func (d *Dashboard) downloadCertificate(w http.ResponseWriter, v *visit) error {
	c, _, err := d.certificate(v)
	if err != nil {
		return err
	}
	part := mux.Vars(v.Request)["part"]
	serveAttachment(w, "application/x-pem-file", edge.FileName(c, "-"+part+".pem"),
		[]byte(partOf(c.ChainPEM, part)))
	return nil
}

// partOf returns the leaf of a chain, the rest of it, or the whole chain.
func partOf(chainPEM, part string) string {
	leaf, chain := edge.SplitChain(chainPEM)
	switch part {
	case "leaf":
		return leaf
	case "chain":
		return chain
	}
	return chainPEM
}
