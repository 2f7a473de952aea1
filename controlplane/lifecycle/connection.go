package lifecycle

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// NewConnection is the input of CreateConnection. Credentials are JSON, of the type.
type NewConnection struct {
	Type        controlplane.ConnectionType
	Name        string
	Credentials json.RawMessage
	Replacing   string // ID of a connection that does not count for the limit, for dry runs
}

// CreateConnection tests the credentials and stores a connection. It returns KindInvalid with every
// invalid field, or if the DNS host rejects the credentials, and KindForbidden if the plan's limit
// is reached. If the host does not respond, the connection is stored as unreachable, and tested
// again later.
func (s *Service) CreateConnection(
	ctx context.Context, actor controlplane.Actor, orgID string, in NewConnection,
) (*controlplane.Connection, error) {
	credentials, err := checkConnection(in.Type, &in.Name, in.Credentials)
	if err != nil {
		return nil, err
	}
	now := s.now()
	c := &controlplane.Connection{ID: controlplane.NewID(controlplane.PrefixConnection),
		OrgID: orgID, Type: in.Type, Name: in.Name, CreatedBy: actor.ID, CreatedAt: now,
		UpdatedAt: now}
	if err := s.setCredentials(ctx, c, credentials); err != nil {
		return nil, err
	}
	return c, s.Store.InTx(ctx, func(t *postgres.Tx) error {
		tier, err := t.LockTier(ctx, orgID)
		if err != nil {
			return err
		}
		used, err := t.ConnectionCount(ctx, orgID, in.Replacing)
		if err != nil {
			return err
		}
		if used >= tier.Connections() {
			return &controlplane.Error{Kind: controlplane.KindForbidden, Code: "plan-limit",
				Message: fmt.Sprintf("The %s plan includes %d DNS connections, and %d are in use.",
					tier, tier.Connections(), used),
				Fix: "Delete a connection that is no longer needed, or move the organization to a larger plan."}
		}
		if err := t.AddConnection(ctx, c); err != nil {
			return err
		}
		entry := s.auditConnection(actor, controlplane.ActionConnectionCreated, c, now)
		entry.After = describeConnection(c)
		return t.Audit(ctx, entry)
	})
}

// ConnectionPatch changes a connection. nil keeps a field.
type ConnectionPatch struct {
	Name        *string
	Credentials json.RawMessage
}

// UpdateConnection renames a connection or replaces its credentials, which it tests as
// CreateConnection does. A patch that sets what is already set changes nothing.
func (s *Service) UpdateConnection(
	ctx context.Context, actor controlplane.Actor, orgID, id string, p ConnectionPatch,
) (*controlplane.Connection, error) {
	c, err := s.Store.Connection(ctx, orgID, id)
	if err != nil {
		return nil, err
	}
	credentials, err := checkConnection(c.Type, p.Name, p.Credentials)
	if err != nil {
		return nil, err
	}
	rotated := credentials != nil && !s.hasCredentials(c, credentials)
	tested := *c
	if rotated {
		if err := s.setCredentials(ctx, &tested, credentials); err != nil {
			return nil, err
		}
	}
	err = s.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := s.now()
		if c, err = t.LockConnection(ctx, orgID, id); err != nil {
			return err
		}
		before := *c
		set(&c.Name, p.Name)
		if rotated {
			c.Sealed, c.Status, c.StatusDetail = tested.Sealed, tested.Status, tested.StatusDetail
			c.LastTestedAt, c.NextTestAt = tested.LastTestedAt, tested.NextTestAt
		}
		if !rotated && c.Name == before.Name {
			return nil
		}
		c.UpdatedAt = now
		entry := s.auditConnection(actor, controlplane.ActionConnectionUpdated, c, now)
		entry.Before, entry.After = describeConnection(&before), describeConnection(c)
		if rotated {
			entry.Details = map[string]any{"credentials_replaced": true}
		}
		if err := t.SaveConnection(ctx, c); err != nil {
			return err
		}
		if rotated {
			if err := s.resumeApply(ctx, t, c, actor.RequestID); err != nil {
				return err
			}
		}
		return t.Audit(ctx, entry)
	})
	return c, err
}

// DeleteConnection removes a connection with its credentials. The records of existing delegations
// stay at the DNS host, and the domains and delegations that had the connection have none. It
// returns KindConflict if records are still to be removed there, unless they are to be kept.
func (s *Service) DeleteConnection(
	ctx context.Context, actor controlplane.Actor, orgID, id string, keepRecords bool,
) error {
	return s.Store.InTx(ctx, func(t *postgres.Tx) error {
		// The deletion locks the domains and delegations that have it. The organization, which
		// their changes lock, too, comes first.
		if _, err := t.LockOrganization(ctx, orgID); err != nil {
			return err
		}
		c, err := t.LockConnection(ctx, orgID, id)
		if err != nil {
			return err
		}
		if keepRecords {
			err = s.leaveRecords(ctx, t, actor, orgID, id, controlplane.LeftKept)
		} else {
			err = s.nothingToRemove(ctx, t, c)
		}
		if err != nil {
			return err
		}
		if err := t.DeleteConnection(ctx, orgID, id); err != nil {
			return err
		}
		entry := s.auditConnection(actor, controlplane.ActionConnectionDeleted, c, s.now())
		entry.Before = describeConnection(c)
		return t.Audit(ctx, entry)
	})
}

// ConnectionZones returns the zones in which the connection may create records, sorted.
func (s *Service) ConnectionZones(
	ctx context.Context, orgID, id string,
) ([]string, error) {
	access, leave, err := s.openHost(ctx, orgID, id)
	if err != nil {
		return nil, err
	}
	defer leave()
	zones, err := s.DNSHosts.Zones(ctx, access)
	if err != nil {
		return nil, hostProblem(err)
	}
	return zones, nil
}

// hostProblem returns the error of a request whose call to a DNS host failed.
func hostProblem(err error) error {
	e, ok := errors.AsType[*controlplane.HostError](err)
	if !ok {
		return err
	}
	code, kind := controlplane.CodeConnectionInvalid, controlplane.KindConflict
	if e.Kind == controlplane.HostUnreachable {
		code, kind = controlplane.CodeHostUnreachable, controlplane.KindUnavailable
	}
	return &controlplane.Error{Kind: kind, Code: code, Message: e.Message, Err: err,
		Fix: controlplane.FixOf(code)}
}

// setCredentials tests new credentials, and seals them into the connection with the result. It
// returns KindInvalid if the host rejects them.
func (s *Service) setCredentials(
	ctx context.Context, c *controlplane.Connection, credentials []byte,
) error {
	leave, err := s.enterHost(c.OrgID)
	if err != nil {
		return err
	}
	err = s.DNSHosts.Test(ctx, controlplane.HostAccess{Type: c.Type, Credentials: credentials})
	leave()
	if err := s.showTest(c, err); err != nil {
		return err
	}
	if c.Status == controlplane.ConnectionInvalid {
		return controlplane.Invalid("/credentials", controlplane.CodeCredentialsInvalid,
			c.StatusDetail, controlplane.FixOf(controlplane.CodeCredentialsInvalid))
	}
	c.Sealed, err = s.Sealer.Seal(credentials, c.ID)
	if err != nil {
		return wrap("seal the credentials of a connection", err)
	}
	return nil
}

// hasCredentials reports whether the connection has the credentials. It returns false if the stored
// ones can't be opened, so that they can be replaced.
func (s *Service) hasCredentials(c *controlplane.Connection, credentials []byte) bool {
	known, err := s.Sealer.Open(c.Sealed, c.ID)
	return err == nil && bytes.Equal(known, credentials)
}

// showTest writes the result of a test into the connection. It returns an error that is not the
// host's.
func (s *Service) showTest(c *controlplane.Connection, err error) error {
	status, detail := controlplane.ConnectionOK, ""
	if e, ok := errors.AsType[*controlplane.HostError](err); ok {
		status, detail = controlplane.ConnectionInvalid, storable(e.Message)
		if e.Kind == controlplane.HostUnreachable {
			status = controlplane.ConnectionUnreachable
		}
	} else if err != nil {
		return err
	}
	now := s.now()
	c.Status, c.StatusDetail, c.LastTestedAt = status, detail, &now
	// Spread over an hour, so that tests of one time do not stay together.
	c.NextTestAt = now.Add(controlplane.ConnectionTestEvery -
		time.Duration(s.Rand()*float64(time.Hour))).Truncate(time.Microsecond)
	return nil
}

// checkConnection validates the fields that are not nil, removes white space around the name, and
// returns the credentials in canonical form. Its error lists every invalid field.
func checkConnection(
	kind controlplane.ConnectionType, name *string, credentials json.RawMessage,
) (json.RawMessage, error) {
	problem := &controlplane.Error{}
	if name != nil {
		trimmed, err := rules.DisplayName(*name)
		if err := controlplane.InvalidBy("/name", err); err != nil {
			e := controlplane.AsError(err)
			problem.Fields, problem.Fix = e.Fields, e.Fix
		}
		*name = trimmed
	}
	if credentials == nil {
		return nil, invalid(problem)
	}
	if kind != controlplane.ConnectionRFC2136 {
		return nil, fmt.Errorf("lifecycle: unknown type of connection %q", kind)
	}
	var c controlplane.RFC2136Credentials
	if json.Unmarshal(credentials, &c) != nil { // its error may quote them
		return nil, controlplane.Invalid("/credentials", controlplane.CodeCredentialsInvalid,
			"The credentials do not have the form that the type requires.",
			controlplane.FixOf(controlplane.CodeCredentialsInvalid))
	}
	canonical, fields := c.Canonical()
	problem.Fields = append(problem.Fields, fields...)
	if err := invalid(problem); err != nil {
		return nil, err
	}
	return json.Marshal(canonical)
}

func (s *Service) auditConnection(
	actor controlplane.Actor, action string, c *controlplane.Connection, now time.Time,
) controlplane.AuditEntry {
	return s.audit(c.OrgID, actor, action, "dns_connection", c.ID, now)
}

// describeConnection returns the fields of a connection for the audit log, without credentials.
func describeConnection(c *controlplane.Connection) map[string]any {
	return map[string]any{"type": string(c.Type), "name": c.Name, "status": string(c.Status)}
}
