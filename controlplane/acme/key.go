package acme

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/seal"
)

func newKey(kt controlplane.KeyType) (crypto.Signer, error) {
	switch kt {
	case controlplane.KeyEC256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case controlplane.KeyEC384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case controlplane.KeyRSA2048:
		return rsa.GenerateKey(rand.Reader, 2048)
	case controlplane.KeyRSA3072:
		return rsa.GenerateKey(rand.Reader, 3072)
	case controlplane.KeyRSA4096:
		return rsa.GenerateKey(rand.Reader, 4096)
	}
	return nil, fmt.Errorf("unsupported key type %q", kt)
}

// sealKey seals a private key as PKCS#8 in PEM, the format in which it is downloaded.
func sealKey(sealer *seal.Sealer, key crypto.Signer, owner string) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return sealer.Seal(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), owner)
}

func openKey(sealer *seal.Sealer, sealed []byte, owner string) (crypto.Signer, error) {
	text, err := sealer.Open(sealed, owner)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("the sealed key is not PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("the sealed key is not PKCS#8")
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("the sealed key is not a signing key")
	}
	return signer, nil
}
