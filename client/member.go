package client

import "context"

// AddMember invites the user with a GitHub login. If they are a member, are invited, or declined,
// it returns an *Error with the status 409 and the user's ID in ExistingID.
func (c *Client) AddMember(ctx context.Context, in MemberAdd) (*Member, error) {
	return decode[Member](c.raw.AddMember(ctx, nil, in))
}

// Member returns the member with that user ID or login.
func (c *Client) Member(ctx context.Context, ref string) (*Member, error) {
	return decode[Member](c.raw.GetMember(ctx, ref))
}

// Members returns one page of members, oldest first.
func (c *Client) Members(ctx context.Context, in ListMembersParams) (*MemberList, error) {
	return decode[MemberList](c.raw.ListMembers(ctx, &in))
}

// UpdateMember changes a member's role. The member's tokens that exceed the role are revoked.
func (c *Client) UpdateMember(ctx context.Context, ref string, in MemberUpdate) (*Member, error) {
	return decode[Member](c.raw.UpdateMember(ctx, ref, nil, in))
}

// RemoveMember removes a member and revokes their tokens, or deletes an invitation by login.
func (c *Client) RemoveMember(ctx context.Context, ref string) error {
	return discard(c.raw.RemoveMember(ctx, ref, nil))
}
