package api

import (
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// A replaced object does not count for uniqueness and the plan's limits. An object of another
// organization, of another type, or without existence can't be replaced, and the response is the
// same for all of them.
func TestDryRunReplacing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.newEstate(w.org, "old.example.com")
	theirs := w.newEstate(w.newOrg("Theirs"), "old.example.com")
	someone := w.do("POST", "/api/members", map[string]any{"login": "pending", "role": "member"}).
		is(201).string("id")
	w.fill(e)
	before := w.everything()
	for _, tt := range []struct {
		path, body, id, theirs string
		without                string // code of the problem without replacing
		others                 []string
	}{
		{"/api/domains", `{"name":"new.example.com"}`, e.domain.ID, theirs.domain.ID, "plan-limit",
			[]string{e.token.ID, "old.example.com"}},
		{"/api/domains", `{"name":"OLD.example.com."}`, e.domain.ID, theirs.domain.ID,
			"plan-limit", []string{e.job.ID}},
		{"/api/domains/bulk", `{"domains":[{"name":"new.example.com"}]}`, e.domain.ID,
			theirs.domain.ID, "plan-limit", nil},
		{"/api/delegations", `{"name":"new.example.com"}`, e.pinned.ID, theirs.pinned.ID,
			"plan-limit", []string{e.domain.ID, "pinned.old.example.com"}},
		{"/api/tokens", `{"name":"new","scopes":["domains:read"]}`, e.token.ID, theirs.token.ID,
			"plan-limit", []string{e.webhook.ID}},
		{"/api/webhooks", `{"url":"https://example.com/new"}`, e.webhook.ID, theirs.webhook.ID,
			"plan-limit", []string{e.domain.ID}},
		{"/api/members", `{"login":"another","role":"member"}`, someone, theirs.member.User.ID,
			"plan-limit", []string{"pending", e.invitation.ID}},
		{"/api/members", `{"login":"pending","role":"admin"}`, someone, theirs.member.User.ID,
			"plan-limit", nil},
		{"/api/invitations", `{"role":"member"}`, e.invitation.ID, theirs.invitation.ID,
			"plan-limit", []string{someone}},
	} {
		path := tt.path + "?dry_run=true"
		a := w.do("POST", path, tt.body)
		if !strings.Contains(a.body, `"`+tt.without+`"`) {
			t.Errorf("POST %s %s = %d %s, want %s", path, tt.body, a.status, a.body, tt.without)
		}
		w.do("POST", path+"&replacing="+tt.id, tt.body).is(204)

		prefix, _, _ := strings.Cut(tt.id, "_")
		unknown := w.do("POST", path+"&replacing="+controlplane.NewID(prefix), tt.body).
			problem(422, "replacing-invalid")
		if !strings.Contains(unknown.body, `"pointer":"/replacing"`) ||
			unknown.string("fix") == "" {
			t.Errorf("POST %s, replacing an unknown object = %s, want the pointer /replacing and a fix",
				path, unknown.body)
		}
		for _, id := range append(tt.others, tt.theirs, "", strings.ToUpper(tt.id)) {
			got := w.do("POST", path+"&replacing="+id, tt.body).problem(422, "replacing-invalid")
			if anyRequest(got) != anyRequest(unknown) {
				t.Errorf("POST %s&replacing=%s = %s, want %s", path, id, got.body, unknown.body)
			}
		}
	}
	w.unchanged("the dry runs", before)
}

// fill creates objects until the organization of e has as many as its plan includes.
func (w *world) fill(e estate) {
	w.t.Helper()
	w.exec(`UPDATE organizations SET domain_limit = domain_count, delegation_limit = delegation_count WHERE id = $1`, w.org)
	for path, body := range map[string]string{
		"/api/tokens":      `{"name":"more","scopes":["domains:read"]}`,
		"/api/webhooks":    `{"url":"https://example.com/more"}`,
		"/api/invitations": `{"role":"member"}`,
	} {
		for {
			a := w.do("POST", path, body)
			if a.json["code"] == "plan-limit" {
				break
			}
			a.is(201)
		}
	}
}

// A domain can be replaced by one of the same name, but not by one that exists besides.
func TestDryRunOfARename(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d, other := w.newDomain(w.org, "first.example.com"), w.newDomain(w.org, "second.example.com")
	const path = "/api/domains?dry_run=true"
	same := map[string]any{"name": "First.Example.com"}
	w.do("POST", path, same).problem(409, "domain-exists")
	w.do("POST", path+"&replacing="+d.ID, same).is(204)
	a := w.do("POST", path+"&replacing="+d.ID, map[string]any{"name": other.Name}).problem(409,
		"domain-exists")
	if got := a.string("existing_id"); got != other.ID {
		t.Errorf("existing_id = %s, want %s", got, other.ID)
	}
	w.do("GET", "/api/domains/"+d.ID, nil).is(200)
}

// A token can replace itself: its access does not depend on the dry run. People cannot.
func TestDryRunReplacingTheCaller(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token, secret, err := w.service.CreateToken(t.Context(), controlplane.System("test"), nil, w.org,
		lifecycle.NewToken{Name: "self", Scopes: controlplane.Scopes()})
	if err != nil {
		t.Fatal(err)
	}
	body := map[string]any{"name": "self", "scopes": []string{"domains:read"}}
	w.do("POST", "/api/tokens?dry_run=true&replacing="+token.ID, body, as(secret)).is(204)
	w.do("GET", "/api/tokens/"+token.ID, nil, as(secret)).is(200)

	owner, other := w.person(w.org, controlplane.RoleOwner), w.person(w.org, controlplane.RoleOwner)
	invitation := map[string]any{"login": "successor", "role": "owner"}
	w.do("POST", "/api/members?dry_run=true&replacing="+owner.id, invitation,
		owner.cookie).problem(422, "replacing-invalid")
	w.do("POST", "/api/members?dry_run=true&replacing="+other.id, invitation, owner.cookie).is(204)
	// As for the deletion, a token cannot remove an owner.
	w.do("POST", "/api/members?dry_run=true&replacing="+owner.id,
		map[string]any{"login": "successor", "role": "member"}).problem(403, "role-exceeds")

	// A restricted token cannot replace a token with access to other domains.
	d := w.newDomain(w.org, "narrow.example.com")
	narrow := w.newToken(w.org, lifecycle.NewToken{Scopes: controlplane.Scopes(),
		DomainIDs: []string{d.ID}})
	body["domain_ids"] = []string{d.ID}
	w.do("POST", "/api/tokens?dry_run=true&replacing="+token.ID, body, as(narrow)).problem(403,
		"token-restricted")
}

// A caller that can create an object can delete it, so replacing needs no other scope.
func TestDryRunNeedsTheScopeOfTheDeletion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	byID := make(map[string]*operation)
	for _, op := range w.secured() {
		byID[op.id] = op
	}
	for create, remove := range map[string]string{"createDomain": "deleteDomain",
		"bulkCreateDomains": "deleteDomain", "createToken": "deleteToken",
		"createWebhook": "deleteWebhook", "addMember": "removeMember",
		"createInvitation":     "revokeInvitation",
		"createACMEDNSAccount": "deleteACMEDNSAccount",
		"createACMEDNSKey":     "deleteACMEDNSKey"} {
		if got, want := byID[create].scope, byID[remove].scope; got != want {
			t.Errorf("%s needs %s, and %s %s", create, got, remove, want)
		}
	}
}
