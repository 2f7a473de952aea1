package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
)

// maxBody limits the size of a response. A page of 200 domains is far below it.
const maxBody = 32 << 20

// CreateDomain adds a domain. If the name exists, it returns an *Error with the status 409 and the
// domain's ID in ExistingID.
func (c *Client) CreateDomain(ctx context.Context, in DomainCreate) (*Domain, error) {
	return decode[Domain](c.raw.CreateDomain(ctx, nil, in))
}

// Domain returns the domain with that ID or name.
func (c *Client) Domain(ctx context.Context, ref string) (*Domain, error) {
	return decode[Domain](c.raw.GetDomain(ctx, ref, nil))
}

// Domains returns one page of domains.
func (c *Client) Domains(ctx context.Context, in ListDomainsParams) (*DomainList, error) {
	return decode[DomainList](c.raw.ListDomains(ctx, &in))
}

// UpdateDomain changes the options that are set in in.
func (c *Client) UpdateDomain(ctx context.Context, ref string, in DomainUpdate) (*Domain, error) {
	return decode[Domain](c.raw.UpdateDomain(ctx, ref, nil, in))
}

// DeleteDomain deletes a domain.
func (c *Client) DeleteDomain(ctx context.Context, ref string) error {
	return discard(c.raw.DeleteDomain(ctx, ref, nil))
}

// VerifyDomain starts a check of the delegation and returns its job.
func (c *Client) VerifyDomain(ctx context.Context, ref string) (*Job, error) {
	return decode[Job](c.raw.VerifyDomain(ctx, ref, nil))
}

// IssueDomain orders a certificate now and returns the job.
func (c *Client) IssueDomain(ctx context.Context, ref string) (*Job, error) {
	return decode[Job](c.raw.IssueDomain(ctx, ref, nil))
}

// RenewDomain renews the certificate now and returns the job.
func (c *Client) RenewDomain(ctx context.Context, ref string) (*Job, error) {
	return decode[Job](c.raw.RenewDomain(ctx, ref, nil))
}

// Diagnosis checks everything in the domain's DNS that a CA checks, and returns the findings, for
// the certificate and for each name. It changes nothing and may take up to 10 seconds.
func (c *Client) Diagnosis(ctx context.Context, ref string) (*DomainExamination, error) {
	return decode[DomainExamination](c.raw.DiagnoseDomain(ctx, ref))
}

// Job returns a job.
func (c *Client) Job(ctx context.Context, id string) (*Job, error) {
	return decode[Job](c.raw.GetJob(ctx, id, nil))
}

// Jobs returns one page of jobs, newest first.
func (c *Client) Jobs(ctx context.Context, in ListJobsParams) (*JobList, error) {
	return decode[JobList](c.raw.ListJobs(ctx, &in))
}

// RetryJob restarts a failed job and resets its attempts.
func (c *Client) RetryJob(ctx context.Context, id string) (*Job, error) {
	return decode[Job](c.raw.RetryJob(ctx, id, nil))
}

// Certificate returns a certificate's metadata.
func (c *Client) Certificate(ctx context.Context, id string) (*Certificate, error) {
	return decode[Certificate](c.raw.GetCertificate(ctx, id))
}

// Certificates returns one page of certificates, newest first.
func (c *Client) Certificates(
	ctx context.Context, in ListCertificatesParams,
) (*CertificateList, error) {
	return decode[CertificateList](c.raw.ListCertificates(ctx, &in))
}

// CertificatePEM returns the leaf, the chain without the leaf, or both, in PEM.
func (c *Client) CertificatePEM(
	ctx context.Context, id string, format DownloadCertificateParamsFormat,
) (string, error) {
	body, _, err := read(c.raw.DownloadCertificate(ctx, id,
		&DownloadCertificateParams{Format: &format}))
	return string(body), err
}

// CertificateKey downloads a certificate's private key as PKCS#8 PEM. Each call is recorded in the
// audit log.
func (c *Client) CertificateKey(ctx context.Context, id string) (string, error) {
	body, _, err := read(c.raw.DownloadKey(ctx, id, nil))
	return string(body), err
}

// CertificatePKCS12 downloads a certificate with its chain and private key as a PKCS#12 file,
// encrypted with the password. Each call is recorded in the audit log.
func (c *Client) CertificatePKCS12(ctx context.Context, id, password string) ([]byte, error) {
	body, _, err := read(c.raw.DownloadPKCS12(ctx, id, nil, PKCS12Request{Password: password}))
	return body, err
}

// RevokeCertificate starts the revocation of a certificate at the CA, and returns the job. If it is
// the domain's current certificate, a new one is ordered if replace is set or the reason is a
// compromised key.
func (c *Client) RevokeCertificate(
	ctx context.Context, id string, reason RevocationReason, replace bool,
) (*Job, error) {
	return decode[Job](c.raw.RevokeCertificate(ctx, id, nil,
		CertificateRevoke{Reason: reason, Replace: &replace}))
}

// CreateToken creates an API token. Only this response contains its secret.
func (c *Client) CreateToken(ctx context.Context, in TokenCreate) (*TokenWithSecret, error) {
	return decode[TokenWithSecret](c.raw.CreateToken(ctx, nil, in))
}

// Token returns a token, without its secret.
func (c *Client) Token(ctx context.Context, id string) (*Token, error) {
	return decode[Token](c.raw.GetToken(ctx, id))
}

// Tokens returns one page of tokens, newest first.
func (c *Client) Tokens(ctx context.Context, in ListTokensParams) (*TokenList, error) {
	return decode[TokenList](c.raw.ListTokens(ctx, &in))
}

// UpdateToken renames a token.
func (c *Client) UpdateToken(ctx context.Context, id string, in TokenUpdate) (*Token, error) {
	return decode[Token](c.raw.UpdateToken(ctx, id, nil, in))
}

// DeleteToken revokes a token.
func (c *Client) DeleteToken(ctx context.Context, id string) error {
	return discard(c.raw.DeleteToken(ctx, id))
}

// RotateToken rotates a token's secret. Only this response contains the new secret. The current one
// remains valid for the requested grace period, by default one day, and previous ones as long as
// before. It returns an *Error with the status 409 if the token has too many valid secrets.
func (c *Client) RotateToken(
	ctx context.Context, id string, in TokenRotate,
) (*TokenWithSecret, error) {
	return decode[TokenWithSecret](c.raw.RotateToken(ctx, id, nil, in))
}

// RevokePreviousTokenSecrets revokes the previous secrets of a token. Only the current one is valid
// after it.
func (c *Client) RevokePreviousTokenSecrets(ctx context.Context, id string) error {
	return discard(c.raw.RevokePreviousTokenSecrets(ctx, id))
}

// decode parses a response as an object. It returns an *Error if the call was not successful.
func decode[T any](resp *http.Response, err error) (*T, error) {
	body, resp, err := read(resp, err)
	if err != nil {
		return nil, err
	}
	v := new(T)
	if err := json.Unmarshal(body, v); err != nil {
		return nil, fmt.Errorf(
			"%s %s: malformed response (%w): check that the endpoint is a DCVaaS API",
			resp.Request.Method, resp.Request.URL.Path, err)
	}
	return v, nil
}

func discard(resp *http.Response, err error) error {
	_, _, err = read(resp, err)
	return err
}

// read returns a response and its body. It returns an *Error unless the API itself responded with
// the status 2xx or one of expected.
func read(resp *http.Response, err error, expected ...int) ([]byte, *http.Response, error) {
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return nil, nil, fmt.Errorf("%s %s: reading the response: %w", resp.Request.Method,
			resp.Request.URL.Path, err)
	}
	if len(body) > maxBody {
		return nil, nil, errors.New("the response is larger than any response of the API")
	}
	if !isAPI(resp) ||
		resp.StatusCode/100 != 2 && !slices.Contains(expected, resp.StatusCode) {
		return nil, nil, newError(resp, body)
	}
	return body, resp, nil
}
