package postgres

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Parts of the program that can have separate roles in the database.
const (
	PartServe = "serve"
	PartWork  = "work"
	PartDNS   = "dns"
)

// rights are the privileges of the parts on a table, as in GRANT. A part without any has "".
type rights struct{ table, serve, work, dns string }

const (
	everything = "SELECT, INSERT, UPDATE, DELETE"
	// erase allows the removal of rows by their age, see sweep, without reading the rest. To lock
	// a row, the privilege to update any column suffices.
	erase = "DELETE, SELECT (ctid, %[1]s), UPDATE (%[2]s)"
)

// tableRights returns the rights on each table of the schema. The list must be complete.
//
// serve cannot change what only workers do: CA accounts, leases, and the log. work cannot read what
// proves that a person or a client may sign in: sessions, invitations, and tokens, and stored
// responses, which can contain new secrets. dns can read only what it serves, and writes only
// its lease.
func tableRights() []rights {
	all := []rights{
		{"goose_db_version", "SELECT", "SELECT", "SELECT"},
		{"database_roles", "", "", ""},
		{"canaries", "SELECT, INSERT", "SELECT, INSERT", "SELECT"},
		{"leases", "SELECT", "SELECT, INSERT, UPDATE", ""},
		{"write_checks", "SELECT, INSERT, UPDATE", "SELECT, INSERT, UPDATE", ""},

		{"organizations", everything, everything, "SELECT (id, deleted_at)"},
		{"targets", everything, everything, "SELECT (label, org_id)"},
		{"challenges", everything, everything, "SELECT (target, value, expires_at)"},
		{"zone_probe", "SELECT", everything, "SELECT (label, value, expires_at)"},
		{"dns_replicas", "SELECT", "SELECT", everything},
		{"acmedns_values", everything, everything, "SELECT (target, value, expires_at)"},
		{"audit_logs", "SELECT, INSERT", "SELECT, INSERT, DELETE", ""},

		{"acme_accounts", "SELECT", "SELECT, INSERT, UPDATE", ""},
		{"ca_accounts", "SELECT", everything, ""},
		{"ca_breakers", "SELECT", everything, ""},
		{"ca_holds", "SELECT", "SELECT", ""},
		{"forced_attempts", "SELECT", everything, ""},

		{"users", everything, "", ""},
		{"organization_members", everything, "", ""},
		{"member_invitations", everything, "", ""},
		{"api_tokens", everything, "", ""},
		{"acmedns_accounts", everything, fmt.Sprintf(erase, "id, org_id", "updates"), ""},
		{"acmedns_keys", everything, "", ""},
		{"sessions", everything, fmt.Sprintf(erase, "expires_at", "user_agent"), ""},
		{"used_states", everything, fmt.Sprintf(erase, "expires_at", "expires_at"), ""},
		{"invitations", everything, fmt.Sprintf(erase, "expires_at", "created_at"), ""},
		{"token_secrets", everything, "DELETE, SELECT (valid_until)", ""},
		{"idempotency_keys", everything, fmt.Sprintf(erase, "created_at, org_id", "created_at"), ""},
	}
	for _, shared := range []string{"acme_orders", "ca_pauses", "certificates", "delegations",
		"dns_connections", "dns_records", "domain_delegations", "domains", "issuer_chains", "jobs",
		"order_budget", "organization_counts", "webhook_attempts", "webhook_deliveries",
		"webhook_secrets", "webhooks"} {
		all = append(all, rights{shared, everything, everything, ""})
	}
	return all
}

// sequenceRights are the privileges of serve and work on the sequence of the log.
const sequenceRights = "SELECT, USAGE"

// validRolePrefix matches the names of roles that need no quotes.
var validRolePrefix = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,39}$`)

// GrantRoles creates the roles prefix_serve, prefix_work, and prefix_dns without LOGIN if they do
// not exist, and gives them exactly the rights that the parts need on the tables of this version.
// Running processes keep their rights meanwhile. With an empty prefix, it uses the roles of the
// last call with a prefix. It returns the roles.
//
// It requires the owner of the tables, and CREATEROLE if a role does not exist.
func (s *Store) GrantRoles(ctx context.Context, prefix string) ([]string, error) {
	if prefix != "" && !validRolePrefix.MatchString(prefix) {
		return nil, fmt.Errorf("postgres: invalid prefix of roles %q: must be at most 40 lowercase letters, digits, and underscores", prefix)
	}
	var names []string
	err := s.InTx(ctx, func(t *Tx) error {
		names = nil
		if _, err := t.db.Exec(ctx,
			`SELECT pg_advisory_xact_lock(hashtextextended('dcvaas-roles', 0))`); err != nil {
			return err
		}
		roles, err := t.roles(ctx, prefix)
		if err != nil || len(roles) == 0 {
			return err
		}
		for _, part := range []string{PartServe, PartWork, PartDNS} {
			names = append(names, roles[part])
			if err := t.createRole(ctx, roles[part]); err != nil {
				return err
			}
		}
		return t.grant(ctx, roles)
	})
	return names, translate(err, "", "")
}

// roles returns the roles by part, after it has stored those with the prefix, if it is not empty.
func (t *Tx) roles(ctx context.Context, prefix string) (map[string]string, error) {
	if prefix != "" {
		for _, part := range []string{PartServe, PartWork, PartDNS} {
			if _, err := t.db.Exec(ctx, `INSERT INTO database_roles (part, role) VALUES ($1, $2)
				ON CONFLICT (part) DO UPDATE SET role = excluded.role`, part, prefix+"_"+part); err != nil {
				return nil, err
			}
		}
	}
	rows, _ := t.db.Query(ctx, `SELECT part, role FROM database_roles`)
	roles := map[string]string{}
	var part, role string
	_, err := pgx.ForEachRow(rows, []any{&part, &role},
		func() error { roles[part] = role; return nil })
	return roles, err
}

// createRole creates a role without LOGIN unless it exists.
func (t *Tx) createRole(ctx context.Context, name string) error {
	var exists bool
	if err := t.db.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)`,
		name).Scan(&exists); err != nil || exists {
		return err
	}
	_, err := t.db.Exec(ctx, "CREATE ROLE "+quoted(name))
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok && pe.Code == insufficientRights {
		return fmt.Errorf("postgres: the role %s does not exist, and the role of the database URL may not create it: run CREATE ROLE %s as a superuser, then repeat the command", name, quoted(name))
	}
	return err
}

// grant gives the roles exactly the rights of their parts.
func (t *Tx) grant(ctx context.Context, roles map[string]string) error {
	var database string
	if err := t.db.QueryRow(ctx, `SELECT current_database()`).Scan(&database); err != nil {
		return err
	}
	names := strings.Join([]string{quoted(roles[PartServe]), quoted(roles[PartWork]),
		quoted(roles[PartDNS])}, ", ")
	statements := []string{
		"GRANT CONNECT ON DATABASE " + quoted(database) + " TO " + names,
		"GRANT USAGE ON SCHEMA public TO " + names,
		"GRANT " + sequenceRights + " ON ALL SEQUENCES IN SCHEMA public TO " + quoted(roles[PartServe]) + ", " + quoted(roles[PartWork]),
	}
	for _, r := range tableRights() {
		statements = append(statements, "REVOKE ALL ON TABLE "+quoted(r.table)+" FROM "+names)
		for part, privileges := range map[string]string{PartServe: r.serve, PartWork: r.work,
			PartDNS: r.dns} {
			if privileges != "" {
				statements = append(statements, "GRANT "+privileges+" ON TABLE "+quoted(r.table)+
					" TO "+quoted(roles[part]))
			}
		}
	}
	_, err := t.db.Exec(ctx, strings.Join(statements, ";\n"))
	return err
}

func quoted(name string) string { return pgx.Identifier{name}.Sanitize() }
