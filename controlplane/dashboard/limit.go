package dashboard

import "github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"

// countNetwork counts a visit without a session against the limit of its client network.
func (d *Dashboard) countNetwork(v *visit) error {
	if d.limiter == nil {
		return nil
	}
	return d.limiter.Check(v.Context(), d.limiter.Network, d.network(v))
}

// countSession counts a visit against the limits of its session, by the hash of the cookie, and of
// its user, if userID is known.
func (d *Dashboard) countSession(v *visit, hash []byte, userID string) error {
	if d.limiter == nil {
		return nil
	}
	if err := d.limiter.Check(v.Context(), d.limiter.Session, string(hash)); err != nil || userID == "" {
		return err
	}
	return d.countPerson(v, userID)
}

// countPerson counts a visit against the limit of its user.
func (d *Dashboard) countPerson(v *visit, userID string) error {
	if d.limiter == nil {
		return nil
	}
	return d.limiter.Check(v.Context(), d.limiter.Person, userID)
}

// countSignIn counts a step of a sign-in. Call it before storing anything or calling GitHub.
func (d *Dashboard) countSignIn(v *visit) error {
	if d.limiter == nil {
		return nil
	}
	return d.limiter.Check(v.Context(), d.limiter.SignIns, d.network(v))
}

func (d *Dashboard) network(v *visit) string { return edge.Network(d.clientIP(v.Request)) }
