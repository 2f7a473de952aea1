package client

import (
	"context"
	"fmt"
)

// Limits of a call of DelegationRecords: those of the API, and a length of the URL that proxies
// accept.
const (
	maxRecordNames = 100
	maxRecordBytes = 4096
)

// Delegation returns the CNAME record for a name, without creating anything.
func (c *Client) Delegation(ctx context.Context, name string) (*DelegationRecord, error) {
	return decode[DelegationRecord](c.raw.GetDelegation(ctx,
		&GetDelegationParams{Name: []string{name}}))
}

// DelegationRecords returns the CNAME records for names, in the same order, without creating
// anything. It needs one call for at most 100 names of usual length.
func (c *Client) DelegationRecords(
	ctx context.Context, names []string,
) ([]DelegationRecord, error) {
	records := make([]DelegationRecord, 0, len(names))
	for len(names) > 0 {
		n, size := 1, len(names[0])
		for n < min(len(names), maxRecordNames) && size+len(names[n]) <= maxRecordBytes {
			size += len(names[n])
			n++
		}
		some, err := c.delegationRecords(ctx, names[:n])
		if err != nil {
			return nil, err
		}
		records, names = append(records, some...), names[n:]
	}
	return records, nil
}

// delegationRecords is DelegationRecords in one call.
func (c *Client) delegationRecords(
	ctx context.Context, names []string,
) ([]DelegationRecord, error) {
	if len(names) == 1 {
		one, err := c.Delegation(ctx, names[0])
		if err != nil {
			return nil, err
		}
		return []DelegationRecord{*one}, nil
	}
	list, err := decode[DelegationRecordList](c.raw.GetDelegation(ctx,
		&GetDelegationParams{Name: names}))
	if err != nil {
		return nil, err
	}
	if len(list.Data) != len(names) {
		return nil, fmt.Errorf("GET /api/delegation: %d records for %d names", len(list.Data),
			len(names))
	}
	return list.Data, nil
}
