package acme

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// Prepare completes an order so that it can be stored before it is sent to a CA. It sets CSR,
// SealedKey, Step (created), the times, and ID if it is empty. CA, Names, and KeyType must be set.
//
// Without csrDER, Prepare generates a key and seals it as PKCS#8 PEM with the order's ID as
// associated data. With csrDER (checked by controlplane.ValidateCSR), the customer has the key:
// KeyType is that of the CSR, and SealedKey stays empty. A 4096-bit RSA key takes a second or more,
// so few are generated at a time, distributed across organizations (Config.RSAKeys).
func (e *Engine) Prepare(ctx context.Context, o *controlplane.Order, csrDER []byte) error {
	ca, err := e.authority(o.CA)
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ca.interrupted(ctx)
	}
	if len(o.Names) == 0 {
		return internal(o.CA, errors.New("the order has no names"))
	}
	if o.ID == "" {
		o.ID = controlplane.NewID(controlplane.PrefixOrder)
	}
	if len(csrDER) == 0 && o.KeyType.IsRSA() {
		leave, err := e.cfg.RSAKeys.Wait(ctx, o.OrgID)
		if err != nil {
			return ca.interrupted(ctx)
		}
		defer leave()
	}
	if err := e.request(o, csrDER); err != nil {
		return internal(o.CA, err)
	}
	o.Step = controlplane.StepCreated
	o.CreatedAt = e.cfg.Now()
	o.UpdatedAt = o.CreatedAt
	return nil
}

// request sets the CSR, and the sealed key if the key is generated here.
func (e *Engine) request(o *controlplane.Order, csrDER []byte) error {
	if len(csrDER) > 0 {
		parsed, err := x509.ParseCertificateRequest(csrDER)
		if err != nil {
			return fmt.Errorf("parse the customer's CSR: %w", err)
		}
		if o.KeyType = controlplane.KeyType(rules.KeyTypeOf(parsed.PublicKey)); o.KeyType == "" {
			return errors.New("the customer's CSR has an unsupported key type")
		}
		o.CSR, o.SealedKey = csrDER, nil
		return nil
	}
	key, err := newKey(o.KeyType)
	if err != nil {
		return err
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader,
		&x509.CertificateRequest{DNSNames: o.Names}, key)
	if err != nil {
		return fmt.Errorf("create the CSR: %w", err)
	}
	sealed, err := sealKey(e.cfg.Sealer, key, o.ID)
	if err != nil {
		return err
	}
	o.CSR, o.SealedKey = csr, sealed
	return nil
}
