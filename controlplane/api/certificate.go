package api

import (
	"bytes"
	"context"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/keystore"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// ListCertificates implements GET /api/certificates.
func (a *API) ListCertificates(
	ctx context.Context, r ListCertificatesRequestObject,
) (ListCertificatesResponseObject, error) {
	p, q := principalOf(ctx), r.Params
	filter := postgres.CertificateFilter{DomainIDs: p.onlyDomains(), Limit: limitOf(q.Limit)}
	if deref(q.Domain) != "" {
		d, err := a.domain(ctx, *q.Domain)
		if err != nil {
			return nil, err
		}
		filter.DomainID = d.ID
	}
	l := listing{Operation: "listCertificates", Org: p.org(), Filters: []any{filter.DomainID}}
	var err error
	if filter.After, err = a.position(l, q.Cursor); err != nil {
		return nil, err
	}
	certificates, next, err := a.store.ListCertificates(ctx, p.org(), filter)
	if err != nil {
		return nil, err
	}
	return ListCertificates200JSONResponse{Data: certificateBodies(certificates),
		HasMore: next != nil, NextCursor: a.next(l, next)}, nil
}

// ListDomainCertificates implements GET /api/domains/{domain}/certificates.
func (a *API) ListDomainCertificates(
	ctx context.Context, r ListDomainCertificatesRequestObject,
) (ListDomainCertificatesResponseObject, error) {
	d, err := a.domain(ctx, r.Domain)
	if err != nil {
		return nil, err
	}
	l := listing{Operation: "listDomainCertificates", Org: d.OrgID, Filters: d.ID}
	filter := postgres.CertificateFilter{DomainID: d.ID, Limit: limitOf(r.Params.Limit)}
	if filter.After, err = a.position(l, r.Params.Cursor); err != nil {
		return nil, err
	}
	certificates, next, err := a.store.ListCertificates(ctx, d.OrgID, filter)
	if err != nil {
		return nil, err
	}
	return ListDomainCertificates200JSONResponse{Data: certificateBodies(certificates),
		HasMore: next != nil, NextCursor: a.next(l, next)}, nil
}

// GetCertificate implements GET /api/certificates/{certificate}.
func (a *API) GetCertificate(
	ctx context.Context, r GetCertificateRequestObject,
) (GetCertificateResponseObject, error) {
	c, err := a.certificate(ctx, r.Certificate)
	if err != nil {
		return nil, err
	}
	return GetCertificate200JSONResponse(certificateBody(c)), nil
}

// DownloadCertificate implements GET /api/certificates/{certificate}/download.
func (a *API) DownloadCertificate(
	ctx context.Context, r DownloadCertificateRequestObject,
) (DownloadCertificateResponseObject, error) {
	c, err := a.certificate(ctx, r.Certificate)
	if err != nil {
		return nil, err
	}
	format := deref(r.Params.Format)
	if format == "" {
		format = Fullchain
	}
	leaf, chain := edge.SplitChain(c.ChainPEM)
	var text string
	switch format {
	case Leaf:
		text = leaf
	case Chain:
		text = chain
	default:
		text = leaf + chain
	}
	return DownloadCertificate200ApplicationpemCertificateChainResponse{
		Body: strings.NewReader(text), ContentLength: int64(len(text)),
		Headers: DownloadCertificate200ResponseHeaders{
			ContentDisposition: edge.Attachment(edge.FileName(c, "-"+string(format)+".pem"))},
	}, nil
}

// DownloadKey implements POST /api/certificates/{certificate}/key.
func (a *API) DownloadKey(
	ctx context.Context, r DownloadKeyRequestObject,
) (DownloadKeyResponseObject, error) {
	p := principalOf(ctx)
	c, err := a.certificate(ctx, r.Certificate)
	if err != nil {
		return nil, err
	}
	key, err := a.lifecycle.TakeKey(ctx, p.actor, p.org(), c.ID)
	if err != nil {
		return nil, err
	}
	return DownloadKey200ApplicationxPemFileResponse{
		Body: strings.NewReader(key), ContentLength: int64(len(key)),
		Headers: DownloadKey200ResponseHeaders{ContentDisposition: edge.Attachment(edge.FileName(c,
			"-key.pem")), CacheControl: "no-store"},
	}, nil
}

// DownloadPKCS12 implements POST /api/certificates/{certificate}/pkcs12. It checks the password
// before it reads the key, which is audited.
func (a *API) DownloadPKCS12(
	ctx context.Context, r DownloadPKCS12RequestObject,
) (DownloadPKCS12ResponseObject, error) {
	p := principalOf(ctx)
	c, err := a.certificate(ctx, r.Certificate)
	if err != nil {
		return nil, err
	}
	if err := keystore.CheckPassword(r.Body.Password); err != nil {
		return nil, err
	}
	key, err := a.lifecycle.TakeKey(ctx, p.actor, p.org(), c.ID)
	if err != nil {
		return nil, err
	}
	file, err := keystore.PKCS12(c.ChainPEM, key, r.Body.Password)
	if err != nil {
		return nil, err
	}
	return DownloadPKCS12200ApplicationxPkcs12Response{
		Body: bytes.NewReader(file), ContentLength: int64(len(file)),
		Headers: DownloadPKCS12200ResponseHeaders{
			ContentDisposition: edge.Attachment(edge.FileName(c, ".p12")),
			CacheControl:       "no-store"},
	}, nil
}

// RevokeCertificate implements POST /api/certificates/{certificate}/revoke.
func (a *API) RevokeCertificate(
	ctx context.Context, r RevokeCertificateRequestObject,
) (RevokeCertificateResponseObject, error) {
	p := principalOf(ctx)
	c, err := a.certificate(ctx, r.Certificate)
	if err != nil {
		return nil, err
	}
	job, started, err := a.lifecycle.RevokeCertificate(ctx, p.actor, p.org(), c.ID,
		string(r.Body.Reason), deref(r.Body.Replace))
	if err != nil {
		return nil, err
	}
	if !started {
		return RevokeCertificate200JSONResponse{Body: jobBody(job),
			Headers: RevokeCertificate200ResponseHeaders{Location: jobLocation(job)}}, nil
	}
	return RevokeCertificate202JSONResponse{Body: jobBody(job),
		Headers: RevokeCertificate202ResponseHeaders{Location: jobLocation(job)}}, nil
}

// certificate returns a certificate of a domain that the token can access.
func (a *API) certificate(ctx context.Context, id string) (*controlplane.Certificate, error) {
	p := principalOf(ctx)
	if !controlplane.IsID(controlplane.PrefixCertificate, id) {
		return nil, controlplane.NotFound("certificate", id)
	}
	c, err := a.store.Certificate(ctx, p.org(), id)
	if err != nil {
		return nil, err
	}
	if err := p.grant.CheckDomain("certificate", id, c.DomainID); err != nil {
		return nil, err
	}
	return c, nil
}

// certificateBody converts a certificate to its API representation.
func certificateBody(c *controlplane.Certificate) Certificate {
	return Certificate{
		Id: c.ID, DomainId: c.DomainID, Names: c.Names, Serial: c.Serial, Issuer: c.Issuer,
		Ca: c.CA, Profile: orNull(c.Profile),
		KeyType: KeyType(c.KeyType), NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(),
		FingerprintSha256: c.FingerprintSHA256,
		HasKey:            c.HasKey(), OptionsRevision: c.OptionsRevision,
		RevokedAt:        timeOrNull(c.RevokedAt),
		RevocationReason: orNull(c.RevocationReason), ReplacedBy: orNull(c.ReplacedBy),
		CreatedAt: c.CreatedAt.UTC(),
	}
}

func certificateBodies(certificates []controlplane.Certificate) []Certificate {
	data := make([]Certificate, len(certificates))
	for i := range certificates {
		data[i] = certificateBody(&certificates[i])
	}
	return data
}
