package client

import "context"

// CreateACMEDNSAccount creates an acme-dns account. Only this response contains its password.
func (c *Client) CreateACMEDNSAccount(
	ctx context.Context, in ACMEDNSAccountCreate,
) (*ACMEDNSAccountWithPassword, error) {
	return decode[ACMEDNSAccountWithPassword](c.raw.CreateACMEDNSAccount(ctx, nil, in))
}

// ACMEDNSAccount returns an acme-dns account, without its password.
func (c *Client) ACMEDNSAccount(ctx context.Context, id string) (*ACMEDNSAccount, error) {
	return decode[ACMEDNSAccount](c.raw.GetACMEDNSAccount(ctx, id))
}

// ACMEDNSAccounts returns one page of acme-dns accounts, newest first.
func (c *Client) ACMEDNSAccounts(
	ctx context.Context, in ListACMEDNSAccountsParams,
) (*ACMEDNSAccountList, error) {
	return decode[ACMEDNSAccountList](c.raw.ListACMEDNSAccounts(ctx, &in))
}

// UpdateACMEDNSAccount changes the fields that are set in in.
func (c *Client) UpdateACMEDNSAccount(
	ctx context.Context, id string, in ACMEDNSAccountUpdate,
) (*ACMEDNSAccount, error) {
	return decode[ACMEDNSAccount](c.raw.UpdateACMEDNSAccount(ctx, id, nil, in))
}

// DeleteACMEDNSAccount deletes an acme-dns account. Its values are no longer served.
func (c *Client) DeleteACMEDNSAccount(ctx context.Context, id string) error {
	return discard(c.raw.DeleteACMEDNSAccount(ctx, id))
}

// RotateACMEDNSAccount replaces the password of an acme-dns account. Only this response contains
// the new one. The previous one is invalid at once.
func (c *Client) RotateACMEDNSAccount(
	ctx context.Context, id string,
) (*ACMEDNSAccountWithPassword, error) {
	return decode[ACMEDNSAccountWithPassword](c.raw.RotateACMEDNSAccount(ctx, id, nil))
}
