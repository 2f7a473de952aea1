package edge

import "context"

// CountNetwork counts a request without a credential against its client network's limit.
func (l *Limiter) CountNetwork(ctx context.Context, ip string) error {
	if l == nil {
		return nil
	}
	return l.Check(ctx, l.Network, Network(ip))
}

// CountFailure counts a request whose credential is invalid against its client network's limit.
func (l *Limiter) CountFailure(ctx context.Context, ip string) error {
	if l == nil {
		return nil
	}
	return l.Check(ctx, l.Failures, Network(ip))
}

// CountSession counts a request against its session's limit, by the hash of the session's secret.
func (l *Limiter) CountSession(ctx context.Context, hash []byte) error {
	if l == nil {
		return nil
	}
	return l.Check(ctx, l.Session, string(hash))
}

// CountPerson counts a request against its user's limit.
func (l *Limiter) CountPerson(ctx context.Context, userID string) error {
	if l == nil {
		return nil
	}
	return l.Check(ctx, l.Person, userID)
}

// CountSignIn counts a step of a sign-in against its client network's limit.
func (l *Limiter) CountSignIn(ctx context.Context, ip string) error {
	if l == nil {
		return nil
	}
	return l.Check(ctx, l.SignIns, Network(ip))
}
