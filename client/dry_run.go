package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
)

// The Try methods are dry runs: they report whether the creation would succeed, and change nothing.
// replacing is the ID of an object of the same type that would be deleted first, "" for none: it
// does not count for uniqueness and the plan's limits. They return the *Error of the creation, and
// ErrNoDryRun if the service is too old for dry runs.

// ErrNoDryRun means that the service does not support dry runs. Nothing was changed.
var ErrNoDryRun = errors.New("the service does not support dry runs")

// TryCreateDomain is a dry run of CreateDomain.
func (c *Client) TryCreateDomain(ctx context.Context, in DomainCreate, replacing string) error {
	return dryRun(c.raw.CreateDomain(ctx,
		&CreateDomainParams{DryRun: new(true), Replacing: optional(replacing)}, in))
}

// TryCreateDelegation is a dry run of CreateDelegation.
func (c *Client) TryCreateDelegation(
	ctx context.Context, in DelegationCreate, replacing string,
) error {
	return dryRun(c.raw.CreateDelegation(ctx,
		&CreateDelegationParams{DryRun: new(true), Replacing: optional(replacing)}, in))
}

// TryCreateDNSConnection is a dry run of CreateDNSConnection. It tests the credentials.
func (c *Client) TryCreateDNSConnection(
	ctx context.Context, in DNSConnectionCreate, replacing string,
) error {
	return dryRun(c.raw.CreateDNSConnection(ctx,
		&CreateDNSConnectionParams{DryRun: new(true), Replacing: optional(replacing)}, in))
}

// TryCreateToken is a dry run of CreateToken.
func (c *Client) TryCreateToken(ctx context.Context, in TokenCreate, replacing string) error {
	return dryRun(c.raw.CreateToken(ctx,
		&CreateTokenParams{DryRun: new(true), Replacing: optional(replacing)}, in))
}

// TryCreateWebhook is a dry run of CreateWebhook.
func (c *Client) TryCreateWebhook(ctx context.Context, in WebhookCreate, replacing string) error {
	return dryRun(c.raw.CreateWebhook(ctx,
		&CreateWebhookParams{DryRun: new(true), Replacing: optional(replacing)}, in))
}

// TryCreateACMEDNSAccount is a dry run of CreateACMEDNSAccount.
func (c *Client) TryCreateACMEDNSAccount(
	ctx context.Context, in ACMEDNSAccountCreate, replacing string,
) error {
	return dryRun(c.raw.CreateACMEDNSAccount(ctx,
		&CreateACMEDNSAccountParams{DryRun: new(true), Replacing: optional(replacing)}, in))
}

// TryAddMember is a dry run of AddMember. It looks the login up at GitHub.
func (c *Client) TryAddMember(ctx context.Context, in MemberAdd, replacing string) error {
	return dryRun(c.raw.AddMember(ctx,
		&AddMemberParams{DryRun: new(true), Replacing: optional(replacing)}, in))
}

// dryRun returns the error of the response to a dry run.
func dryRun(resp *http.Response, err error) error {
	_, resp, err = read(resp, err)
	var e *Error
	switch {
	case errors.As(err, &e) && e.API && e.Status == http.StatusBadRequest &&
		slices.ContainsFunc(e.Fields, func(f FieldError) bool {
			return f.Pointer == "/dry_run" && f.Code == "unknown-parameter"
		}):
		return fmt.Errorf("%w: %w", ErrNoDryRun, err)
	case err == nil && resp.StatusCode != http.StatusNoContent:
		return fmt.Errorf("%s %s: the response to a dry run is %s, want 204: check what was changed",
			resp.Request.Method, resp.Request.URL.Path, resp.Status)
	}
	return err
}

// optional returns nil for an empty text.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
