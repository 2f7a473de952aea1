package acme

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// Prepare makes an order ready to be stored, before any CA hears of it: it fills in CSR, SealedKey, Step (created), the
// times, and ID where it is empty. CA, Names and KeyType must be set.
//
// Without csrDER a new key is made, and sealed as PKCS#8 PEM with the order's id as associated data. With csrDER (checked
// by controlplane.ValidateCSR) the customer has the key: KeyType is that of the request, and SealedKey stays empty.
// An RSA key of 4096 bits takes a second or more. Few are generated at a time, and organizations take turns (Config.RSAKeys).
func (e *Engine) Prepare(ctx context.Context, o *controlplane.Order, csrDER []byte) error {
	ca, err := e.authority(o.CA)
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ca.interrupted(ctx)
	}
	if len(o.Names) == 0 {
		return internal(o.CA, errors.New("an order without names"))
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

// request fills in the CSR, and the sealed key where the key is ours.
func (e *Engine) request(o *controlplane.Order, csrDER []byte) error {
	if len(csrDER) > 0 {
		parsed, err := x509.ParseCertificateRequest(csrDER)
		if err != nil {
			return fmt.Errorf("parse the customer's CSR: %w", err)
		}
		if o.KeyType = controlplane.KeyTypeOfPublicKey(parsed.PublicKey); o.KeyType == "" {
			return errors.New("the customer's CSR has a key of no type on offer")
		}
		o.CSR, o.SealedKey = csrDER, nil
		return nil
	}
	key, err := newKey(o.KeyType)
	if err != nil {
		return err
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: o.Names}, key)
	if err != nil {
		return fmt.Errorf("make the CSR: %w", err)
	}
	sealed, err := sealKey(e.cfg.Sealer, key, o.ID)
	if err != nil {
		return err
	}
	o.CSR, o.SealedKey = csr, sealed
	return nil
}
