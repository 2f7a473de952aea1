package lifecycle

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// Reasons why a session ended, in the audit log.
const (
	endedBySignOut = "signed-out"
	endedByUser    = "ended-by-user"     // from the list of sessions
	endedBySwitch  = "switched"          // to another organization
	endedByReplace = "signed-in-again"   // in the same browser
	endedByTooMany = "too-many-sessions" // a sign-in exceeded controlplane.MaxSessions
)

// EndSession ends a session of a user, in any of their organizations. It returns KindNotFound if
// they have no such session, or it already ended.
func (s *Service) EndSession(
	ctx context.Context, actor controlplane.Actor, userID, id string,
) error {
	return s.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := s.now()
		ended, err := t.EndSession(ctx, userID, id, now)
		if err != nil {
			return err
		}
		return s.auditEnd(ctx, t, actor, ended, endedByUser, now)
	})
}

// EndSessions ends every session of a user except the one with the ID keep, and returns their
// number.
func (s *Service) EndSessions(
	ctx context.Context, actor controlplane.Actor, userID, keep string,
) (int, error) {
	n := 0
	err := s.Store.InTx(ctx, func(t *postgres.Tx) error {
		var err error
		n, err = s.endSessions(ctx, t, actor, userID, keep, 0, endedByUser, s.now())
		return err
	})
	return n, err
}

// makeRoom ends the sessions that a new one replaces: those of the same browser, and the user's
// sessions beyond MaxSessions. Sign-ins of a user are serialized (Tx.UserOf), so no two of them
// count the same sessions.
func (s *Service) makeRoom(
	ctx context.Context, t *postgres.Tx, actor controlplane.Actor, session *controlplane.Session,
	replaces []*controlplane.Session,
) error {
	for _, old := range replaces {
		ended, err := t.DeleteSession(ctx, old)
		if err != nil {
			return err
		}
		if !ended {
			continue
		}
		// Its user ended it by signing in, possibly as a different user.
		by := controlplane.Actor{Type: controlplane.ActorUser, ID: old.User.ID, IP: actor.IP,
			RequestID: actor.RequestID}
		if err := s.auditEnd(ctx, t, by, old, endedByReplace, session.CreatedAt); err != nil {
			return err
		}
	}
	_, err := s.endSessions(ctx, t, actor, session.User.ID, session.ID, controlplane.MaxSessions-1,
		endedByTooMany, session.CreatedAt)
	return err
}

func (s *Service) endSessions(
	ctx context.Context, t *postgres.Tx, actor controlplane.Actor, userID, keep string, left int,
	reason string, now time.Time,
) (int, error) {
	ended, err := t.EndSessions(ctx, userID, keep, left, now)
	for i := range ended {
		if err == nil {
			err = s.auditEnd(ctx, t, actor, &ended[i], reason, now)
		}
	}
	return len(ended), err
}

// auditEnd records the end of the session in the audit log of its organization.
func (s *Service) auditEnd(
	ctx context.Context, t *postgres.Tx, actor controlplane.Actor, session *controlplane.Session,
	reason string, now time.Time,
) error {
	entry := s.audit(session.OrgID, actor, controlplane.ActionSessionEnded, "session", session.ID,
		now)
	entry.Details = map[string]any{"reason": reason, "user_agent": session.UserAgent}
	return t.Audit(ctx, entry)
}
