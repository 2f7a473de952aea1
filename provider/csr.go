package provider

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
)

// csrKeyType returns the type of a certificate request's key, as key_type spells it.
func csrKeyType(s string) (string, error) {
	csr, err := parseCSR(s)
	if err != nil {
		return "", err
	}
	switch key := csr.PublicKey.(type) {
	case *ecdsa.PublicKey:
		if size := key.Curve.Params().BitSize; size == 256 || size == 384 {
			return fmt.Sprintf("ec%d", size), nil
		}
	case *rsa.PublicKey:
		if size := key.N.BitLen(); size == 2048 || size == 4096 {
			return fmt.Sprintf("rsa%d", size), nil
		}
	}
	return "", errors.New("its key is none of P-256, P-384, RSA 2048 and RSA 4096")
}

func parseCSR(s string) (*x509.CertificateRequest, error) {
	block, rest := pem.Decode([]byte(s))
	switch {
	case block == nil:
		return nil, errors.New("it is not PEM")
	case strings.Contains(block.Type, "PRIVATE KEY"):
		return nil, errors.New("it is a private key: give the certificate request made with it, and keep the key")
	case block.Type != "CERTIFICATE REQUEST" && block.Type != "NEW CERTIFICATE REQUEST":
		return nil, fmt.Errorf("it is a PEM block of type %s instead of CERTIFICATE REQUEST", block.Type)
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, errors.New("something follows the certificate request")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, errors.New("its PEM block holds no certificate request that can be read")
	}
	if csr.CheckSignature() != nil {
		return nil, errors.New("its signature is not by its own key")
	}
	return csr, nil
}

// sameCSR reports whether two texts hold the same request, whatever the white space around it.
func sameCSR(a, b string) bool {
	if a == b {
		return true
	}
	pa, _ := pem.Decode([]byte(a))
	pb, _ := pem.Decode([]byte(b))
	return pa != nil && pb != nil && bytes.Equal(pa.Bytes, pb.Bytes)
}

// csrValidator accepts one PKCS#10 request as PEM. It repeats no part of what it refuses, which may be a key.
type csrValidator struct{}

func (csrValidator) Description(context.Context) string {
	return "must be one certificate request (PKCS#10) as PEM, with a key of P-256, P-384, RSA 2048 or RSA 4096"
}

func (v csrValidator) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (csrValidator) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	if _, err := csrKeyType(req.ConfigValue.ValueString()); err != nil {
		resp.Diagnostics.AddAttributeError(req.Path, "Invalid certificate request", sentence(err.Error()))
	}
}
