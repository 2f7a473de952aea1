package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/mux"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// bareAPI is the limit of the API: two handwritten handlers that check only the token and send the
// same SQL to Postgres as the store.
type bareAPI struct {
	pool     *pgxpool.Pool
	listener net.Listener
	server   *http.Server
}

func startBareAPI(pool *pgxpool.Pool) (*bareAPI, error) {
	a := &bareAPI{pool: pool}
	r := mux.NewRouter()
	r.HandleFunc("/api/domains/{domain}", a.get).Methods(http.MethodGet)
	r.HandleFunc("/api/domains", a.create).Methods(http.MethodPost)
	a.server = &http.Server{Handler: r, ReadHeaderTimeout: 5 * time.Second}
	var err error
	if a.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	go func() { _ = a.server.Serve(a.listener) }()
	return a, nil
}

func (a *bareAPI) addr() string { return a.listener.Addr().String() }

func (a *bareAPI) stop() { _ = a.server.Close() }

const bareDomainColumns = `id, org_id, name, cname_target, status, status_reason, wildcard, key_type, csr_pem, profile, preferred_chain, ca,
	auto_issue, auto_renew, labels, conditions, certificate_id, expires_at, renew_at, last_issued_at, check_since, check_attempts, version, created_at, updated_at`

// bareDomain is a row, with the field names of the API.
type bareDomain struct {
	ID            string                   `json:"id"`
	OrgID         string                   `json:"org_id"`
	Name          string                   `json:"name"`
	Target        string                   `json:"target"`
	Status        string                   `json:"status"`
	StatusReason  string                   `json:"status_reason"`
	Wildcard      bool                     `json:"wildcard"`
	KeyType       string                   `json:"key_type"`
	CSR           string                   `json:"csr_pem"`
	Profile       string                   `json:"profile"`
	Chain         string                   `json:"preferred_chain"`
	CA            string                   `json:"ca"`
	AutoIssue     bool                     `json:"auto_issue"`
	AutoRenew     bool                     `json:"auto_renew"`
	Labels        map[string]string        `json:"labels"`
	Conditions    []controlplane.Condition `json:"conditions"`
	CertificateID string                   `json:"certificate_id"`
	ExpiresAt     *time.Time               `json:"expires_at"`
	RenewAt       *time.Time               `json:"renew_at"`
	LastIssuedAt  *time.Time               `json:"last_issued_at"`
	CheckSince    time.Time                `json:"check_since"`
	CheckAttempts int                      `json:"check_attempts"`
	Version       int64                    `json:"version"`
	CreatedAt     time.Time                `json:"created_at"`
	UpdatedAt     time.Time                `json:"updated_at"`
}

// authenticate returns the organization of the request's token.
func (a *bareAPI) authenticate(r *http.Request) (org string, err error) {
	secret := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	var id, name, prefix, createdBy string
	var hash []byte
	var scopes, domains []string
	var expires, used *time.Time
	var created time.Time
	err = a.pool.QueryRow(r.Context(),
		`SELECT id, org_id, name, token_hash, token_prefix, scopes, domain_ids, expires_at, last_used_at, created_by, created_at
		FROM api_tokens WHERE token_hash = $1`, controlplane.HashSecret(secret)).
		Scan(&id, &org, &name, &hash, &prefix, &scopes, &domains, &expires, &used, &createdBy,
			&created)
	return org, err
}

func (a *bareAPI) get(w http.ResponseWriter, r *http.Request) {
	org, err := a.authenticate(r)
	if err != nil {
		http.Error(w, "unauthorized", http.StatusUnauthorized)
		return
	}
	rows, err := a.pool.Query(r.Context(), `SELECT `+bareDomainColumns+
		` FROM domains WHERE org_id = $1 AND id = $2`, org, mux.Vars(r)["domain"])
	if err != nil {
		http.Error(w, "error", http.StatusInternalServerError)
		return
	}
	d, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[bareDomain])
	if err != nil {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	answerJSON(w, http.StatusOK, d)
}

func (a *bareAPI) create(w http.ResponseWriter, r *http.Request) {
	org, err := a.authenticate(r)
	if err != nil {
		http.Error(w, "unauthorized", http.StatusUnauthorized)
		return
	}
	var in struct{ Name string }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, "malformed", http.StatusBadRequest)
		return
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	d := bareDomain{ID: controlplane.NewID(controlplane.PrefixDomain), OrgID: org, Name: in.Name,
		Target:       controlplane.Target(make([]byte, 32), org, in.Name),
		Status:       string(controlplane.DomainPendingCNAME),
		StatusReason: "cname-unchecked", KeyType: "ec256", AutoIssue: true, AutoRenew: true,
		Labels: map[string]string{}, CheckSince: now, Version: 1, CreatedAt: now, UpdatedAt: now}
	for _, c := range []controlplane.ConditionType{controlplane.DNSReady,
		controlplane.CertificateReady} {
		d.Conditions = append(d.Conditions,
			controlplane.Condition{Type: c,
				Status: "unknown", Reason: "cname-unchecked",
				Message:     "The CNAME has not been checked yet.",
				Expected:    "_acme-challenge." + d.Name + " CNAME " + d.Target + "." + benchZone,
				NextCheckAt: &now})
	}
	if err := a.store(r.Context(), &d, now); err != nil {
		http.Error(w, "error", http.StatusInternalServerError)
		return
	}
	answerJSON(w, http.StatusCreated, d)
}

func (a *bareAPI) store(ctx context.Context, d *bareDomain, now time.Time) error {
	conditions, err := json.Marshal(d.Conditions)
	if err != nil {
		return err
	}
	after, err := json.Marshal(map[string]any{"name": d.Name, "status": d.Status, "wildcard": false,
		"key_type": d.KeyType, "auto_issue": true, "auto_renew": true})
	if err != nil {
		return err
	}
	_, err = a.pool.Exec(ctx, `
		WITH org AS (
			UPDATE organizations SET domain_count = domain_count + 1
			WHERE id = $1 AND domain_count < coalesce(domain_limit, CASE subscription_tier WHEN 'free' THEN 3 WHEN 'pro' THEN 15 ELSE 50 END)
			RETURNING id
		), dom AS (
			INSERT INTO domains (id, org_id, name, cname_target, status, status_reason, wildcard, key_type, csr_pem, profile,
				preferred_chain, ca, auto_issue, auto_renew, labels, conditions, check_since, created_at, updated_at)
			SELECT $2, org.id, $3, $4, $5, $6, false, $7, '', '', '', '', true, true, '{}', $8, $9, $9, $9 FROM org
			RETURNING id, org_id
		), job AS (
			INSERT INTO jobs (id, org_id, domain_id, type, slot, queue, run_at, request_id, created_at, updated_at)
			SELECT $10, dom.org_id, dom.id, 'dns_check', 'check', 'critical', $9, '', $9, $9 FROM dom
		)
		INSERT INTO audit_logs (id, org_id, actor_type, actor_id, ip, action, entity_type, entity_id, after, request_id, created_at)
		SELECT $11, dom.org_id, 'token', '', '127.0.0.1', 'domain.created', 'domain', dom.id, $12, '', $9 FROM dom`,
		d.OrgID, d.ID, d.Name, d.Target, d.Status, d.StatusReason, d.KeyType, conditions, now,
		controlplane.NewID(controlplane.PrefixJob), controlplane.NewID(controlplane.PrefixEvent),
		after)
	return err
}

func answerJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
