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

// maxBody bounds what is read of an answer. A page of 200 domains is far below it.
const maxBody = 32 << 20

// CreateDomain adds a domain. A name that exists gives an Error of status 409 whose ExistingID is the domain's.
func (c *Client) CreateDomain(ctx context.Context, in DomainCreate) (*Domain, error) {
	return decode[Domain](c.raw.CreateDomain(ctx, nil, in))
}

// Domain returns the domain with that id or name.
func (c *Client) Domain(ctx context.Context, ref string) (*Domain, error) {
	return decode[Domain](c.raw.GetDomain(ctx, ref, nil))
}

// Domains returns one page of domains.
func (c *Client) Domains(ctx context.Context, in ListDomainsParams) (*DomainList, error) {
	return decode[DomainList](c.raw.ListDomains(ctx, &in))
}

// UpdateDomain changes the options that are sent.
func (c *Client) UpdateDomain(ctx context.Context, ref string, in DomainUpdate) (*Domain, error) {
	return decode[Domain](c.raw.UpdateDomain(ctx, ref, nil, in))
}

// DeleteDomain deletes a domain.
func (c *Client) DeleteDomain(ctx context.Context, ref string) error {
	return discard(c.raw.DeleteDomain(ctx, ref, nil))
}

// VerifyDomain checks the delegation now and returns the job that does.
func (c *Client) VerifyDomain(ctx context.Context, ref string) (*Job, error) {
	return decode[Job](c.raw.VerifyDomain(ctx, ref, nil))
}

// IssueDomain orders a certificate now and returns the job that does.
func (c *Client) IssueDomain(ctx context.Context, ref string) (*Job, error) {
	return decode[Job](c.raw.IssueDomain(ctx, ref, nil))
}

// RenewDomain renews the certificate now and returns the job that does.
func (c *Client) RenewDomain(ctx context.Context, ref string) (*Job, error) {
	return decode[Job](c.raw.RenewDomain(ctx, ref, nil))
}

// Diagnosis looks at everything in the domain's DNS that a CA will look at, and returns what it finds. It changes nothing,
// and may take 10 seconds.
func (c *Client) Diagnosis(ctx context.Context, ref string) (*Examination, error) {
	return decode[Examination](c.raw.DiagnoseDomain(ctx, ref))
}

// Delegation returns the CNAME for a name, without creating anything.
func (c *Client) Delegation(ctx context.Context, name string) (*Delegation, error) {
	return decode[Delegation](c.raw.GetDelegation(ctx, &GetDelegationParams{Name: name}))
}

// Job returns a job.
func (c *Client) Job(ctx context.Context, id string) (*Job, error) {
	return decode[Job](c.raw.GetJob(ctx, id, nil))
}

// Jobs returns one page of jobs, newest first.
func (c *Client) Jobs(ctx context.Context, in ListJobsParams) (*JobList, error) {
	return decode[JobList](c.raw.ListJobs(ctx, &in))
}

// RetryJob starts a failed job afresh.
func (c *Client) RetryJob(ctx context.Context, id string) (*Job, error) {
	return decode[Job](c.raw.RetryJob(ctx, id, nil))
}

// Certificate returns a certificate's description.
func (c *Client) Certificate(ctx context.Context, id string) (*Certificate, error) {
	return decode[Certificate](c.raw.GetCertificate(ctx, id))
}

// Certificates returns one page of certificates, newest first.
func (c *Client) Certificates(ctx context.Context, in ListCertificatesParams) (*CertificateList, error) {
	return decode[CertificateList](c.raw.ListCertificates(ctx, &in))
}

// CertificatePEM returns the leaf, the chain without it, or both, as PEM.
func (c *Client) CertificatePEM(ctx context.Context, id string, format DownloadCertificateParamsFormat) (string, error) {
	body, _, err := read(c.raw.DownloadCertificate(ctx, id, &DownloadCertificateParams{Format: &format}))
	return string(body), err
}

// CertificateKey takes out a certificate's private key, as PKCS#8 PEM. Each call is recorded by the server.
func (c *Client) CertificateKey(ctx context.Context, id string) (string, error) {
	body, _, err := read(c.raw.DownloadKey(ctx, id, nil))
	return string(body), err
}

// CertificatePKCS12 takes out a certificate with its chain and private key, as a PKCS#12 file that opens with the password.
// Each call is recorded by the server.
func (c *Client) CertificatePKCS12(ctx context.Context, id, password string) ([]byte, error) {
	body, _, err := read(c.raw.DownloadPKCS12(ctx, id, nil, PKCS12Request{Password: password}))
	return body, err
}

// RevokeCertificate has the CA revoke a certificate, and returns the job that does. Where it is the domain's current one, a
// new one is ordered if replace is set or the reason is a compromised key.
func (c *Client) RevokeCertificate(ctx context.Context, id string, reason RevocationReason, replace bool) (*Job, error) {
	return decode[Job](c.raw.RevokeCertificate(ctx, id, nil, CertificateRevoke{Reason: reason, Replace: &replace}))
}

// CreateToken creates an API token. Its secret is in the answer and never comes again.
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
	return decode[Token](c.raw.UpdateToken(ctx, id, in))
}

// DeleteToken revokes a token.
func (c *Client) DeleteToken(ctx context.Context, id string) error {
	return discard(c.raw.DeleteToken(ctx, id))
}

// RotateToken gives a token a new secret, which is in the answer and never comes again. The one before works on for the
// overlap that is asked for, a day by default.
func (c *Client) RotateToken(ctx context.Context, id string, in TokenRotate) (*TokenWithSecret, error) {
	return decode[TokenWithSecret](c.raw.RotateToken(ctx, id, nil, in))
}

// decode takes a call's answer: an object, or *Error.
func decode[T any](resp *http.Response, err error) (*T, error) {
	body, resp, err := read(resp, err)
	if err != nil {
		return nil, err
	}
	v := new(T)
	if err := json.Unmarshal(body, v); err != nil {
		return nil, fmt.Errorf("%s %s: the answer is not what the contract says (%w): is the endpoint DCVaaS's API?", resp.Request.Method, resp.Request.URL.Path, err)
	}
	return v, nil
}

func discard(resp *http.Response, err error) error {
	_, _, err = read(resp, err)
	return err
}

// read takes a call's answer: its body where it is a success or one of the other statuses that are expected, else *Error.
func read(resp *http.Response, err error, expected ...int) ([]byte, *http.Response, error) {
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return nil, nil, fmt.Errorf("%s %s: reading the answer: %w", resp.Request.Method, resp.Request.URL.Path, err)
	}
	if len(body) > maxBody {
		return nil, nil, errors.New("the answer is longer than any that the API gives")
	}
	if resp.StatusCode/100 != 2 && !slices.Contains(expected, resp.StatusCode) {
		return nil, nil, newError(resp, body)
	}
	return body, resp, nil
}
