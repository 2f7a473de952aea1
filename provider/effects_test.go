package provider

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// settled is a resource in the state, with each attribute that it has after an apply.
type settled struct {
	state   map[string]any
	changes map[string]effect // by each attribute that a configuration can set
}

// effect is a change of an attribute, and what becomes unknown by it.
type effect struct {
	to       any
	unknown  string // attributes, separated by spaces
	replaces bool
	with     map[string]any // other attributes that change with it
}

// textSet returns a set of texts.
func textSet(texts ...string) tftypes.Value {
	values := make([]tftypes.Value, len(texts))
	for i, s := range texts {
		values[i] = tftypes.NewValue(tftypes.String, s)
	}
	return tftypes.NewValue(tftypes.Set{ElementType: tftypes.String}, values)
}

// textMap returns a map with one entry.
func textMap(key, value string) tftypes.Value {
	return tftypes.NewValue(tftypes.Map{ElementType: tftypes.String},
		map[string]tftypes.Value{key: tftypes.NewValue(tftypes.String, value)})
}

const (
	someDomain  = "dom_01k9z5w7r8e4bs6v0q1d2m3n4p"
	otherDomain = "dom_01k9z5w7r8e4bs6v0q1d2m3n4q"

	someConnection = "con_01k9z5w7r8e4bs6v0q1d2m3n4p"

	someTime  = "2026-01-02T03:04:05Z"
	laterTime = "2126-01-02T03:04:05Z"

	// ofOrder are the attributes that follow a new certificate.
	ofOrder = "certificate_id expires_at last_issued_at renew_at status status_reason"
	// ofOptions are those that follow a change of the certificate's options.
	ofOptions = ofOrder + " options_revision"
	// ofSecret are the attributes that follow a new secret.
	ofSecret = "previous_valid_until ready_for_rotation rotated_at secret_version token token_prefix"
)

// credentialsValue returns credentials of a DNS connection.
func credentialsValue() tftypes.Value {
	zones := tftypes.List{ElementType: tftypes.String}
	values := map[string]tftypes.Value{"zones": tftypes.NewValue(zones,
		[]tftypes.Value{tftypes.NewValue(tftypes.String, "example.com")})}
	kinds := map[string]tftypes.Type{"zones": zones}
	for name, v := range map[string]any{"server": "ns1.example.com", "key_name": "dcvaas",
		"key_algorithm": nil, "key_secret": "c2VjcmV0LXNlY3JldC1zZWNyZXQ="} {
		kinds[name], values[name] = tftypes.String, tftypes.NewValue(tftypes.String, v)
	}
	return tftypes.NewValue(tftypes.Object{AttributeTypes: kinds}, values)
}

func settledResources(t *testing.T) map[string]settled {
	ofRecord := tftypes.Object{AttributeTypes: map[string]tftypes.Type{"name": tftypes.String,
		"fqdn": tftypes.String, "type": tftypes.String, "target": tftypes.String}}
	record := map[string]tftypes.Value{}
	for name := range delegationTypes {
		record[name] = tftypes.NewValue(tftypes.String, name)
	}
	timeouts := func(update any) tftypes.Value {
		typ := tftypes.Object{AttributeTypes: map[string]tftypes.Type{"create": tftypes.String,
			"update": tftypes.String}}
		return tftypes.NewValue(typ, map[string]tftypes.Value{
			"create": tftypes.NewValue(tftypes.String, nil),
			"update": tftypes.NewValue(tftypes.String, update)})
	}
	return map[string]settled{
		"dcvaas_domain": {
			map[string]any{"id": someDomain, "name": "example.com", "wildcard": false,
				"key_type": "ec256", "auto_issue": false, "auto_renew": true,
				"labels": textMap("team", "shop"), "deletion_protection": false,
				"delegation": tftypes.NewValue(ofRecord, record),
				"delegations": tftypes.NewValue(tftypes.Map{ElementType: ofRecord},
					map[string]tftypes.Value{"example.com": tftypes.NewValue(ofRecord, record)}),
				"issue_partial": false, "options_revision": 3, "status": "active", "status_reason": "",
				"certificate_id": "crt_01k9z5w7r8e4bs6v0q1d2m3n4p", "expires_at": laterTime,
				"renew_at": laterTime, "last_issued_at": someTime, "created_at": someTime},
			map[string]effect{
				"name": {to: "other.example.com", replaces: true,
					unknown: "delegation delegations key_type " + ofOptions},
				"additional_names": {to: textSet("www.example.com"), // not configured, so unknown
					unknown: "delegations " + ofOptions},
				"issue_partial":       {to: true, unknown: ofOrder},
				"wildcard":            {to: true, unknown: ofOptions},
				"key_type":            {to: "ec384", unknown: ofOptions},
				"csr_pem":             {to: makeCSR(t, "ec256", "example.com"), unknown: ofOptions},
				"profile":             {to: "tlsserver", unknown: ofOptions},
				"preferred_chain":     {to: "Some Root", unknown: ofOptions},
				"ca":                  {to: "backup", unknown: ofOptions},
				"auto_issue":          {to: true, unknown: ofOrder},
				"auto_renew":          {to: false},
				"labels":              {to: textMap("team", "search")},
				"connection_id":       {to: someConnection},
				"deletion_protection": {to: true},
			},
		},
		"dcvaas_delegation": {
			map[string]any{"id": "dlg_01k9z5w7r8e4bs6v0q1d2m3n4p", "name": "example.com",
				"record_name": "_acme-challenge.example.com", "type": "CNAME",
				"fqdn": "_acme-challenge.example.com.", "target": "target.example.net",
				"pinned": true, "state": "delegated", "last_checked_at": someTime,
				"created_at": someTime},
			map[string]effect{
				"name": {to: "other.example.com", replaces: true, unknown: "cause created_at fqdn id " +
					"last_checked_at pinned record_name state target type"},
				"connection_id": {to: someConnection},
			},
		},
		"dcvaas_domain_validation": {
			map[string]any{"id": someDomain, "domain_id": someDomain, "wait_for": "delegation"},
			map[string]effect{
				"domain_id":        {to: otherDomain, replaces: true},
				"record_fqdn":      {to: "_acme-challenge.example.com."},
				"record_fqdns":     {to: textSet("_acme-challenge.example.com.")},
				"wait_for":         {to: "certificate"},
				"options_revision": {to: 4, with: map[string]any{"wait_for": "certificate"}},
				"timeouts":         {to: timeouts("5m")},
			},
		},
		"dcvaas_api_token": {
			map[string]any{"id": "tok_01k9z5w7r8e4bs6v0q1d2m3n4p", "name": "deploy",
				"scopes": textSet("domains:read"), "expires_in": "90d", "expires_at": laterTime,
				"token": "dcv_secret", "token_prefix": "dcv_sec", "ready_for_rotation": false,
				"created_at": someTime},
			map[string]effect{
				"name":       {to: "release"},
				"scopes":     {to: textSet("domains:write"), replaces: true},
				"domain_ids": {to: textSet(someDomain), replaces: true},
				"expires_at": {to: "2127-01-02T03:04:05Z", with: map[string]any{"expires_in": nil},
					unknown: ofSecret},
				"expires_in":           {to: "30d", unknown: "expires_at " + ofSecret},
				"rotate_before_expiry": {to: "10d"},
				"rotate_when_changed":  {to: textMap("quarter", "2"), unknown: "expires_at " + ofSecret},
				"rotation_overlap":     {to: "2h"},
			},
		},
		"dcvaas_webhook": {
			map[string]any{"id": "whk_01k9z5w7r8e4bs6v0q1d2m3n4p", "url": webhookURL,
				"events": textSet(), "description": "", "enabled": true, "secret_wo_version": 1,
				"failing_since": someTime, "created_at": someTime},
			map[string]effect{
				"url":         {to: webhookURL + "/other", unknown: "failing_since"},
				"events":      {to: textSet("domain.renewed")},
				"description": {to: "Reloads the load balancers"},
				"enabled":     {to: false, unknown: "disabled_reason failing_since"},
				"secret_wo":   {to: webhookSecret(2), with: map[string]any{"secret_wo_version": 2}},
				"secret_wo_version": {to: 2,
					with: map[string]any{"secret_wo": webhookSecret(2)}},
			},
		},
		"dcvaas_dns_connection": {
			map[string]any{"id": someConnection, "type": "rfc2136", "name": "ns1",
				"credentials_wo_version": 1, "zones": textSet("example.com"), "status": "ok",
				"created_at": someTime},
			map[string]effect{
				"type": {to: "rfc2136"}, // the only one
				"name": {to: "ns2"},
				"credentials_wo": {to: credentialsValue(), unknown: "status status_detail zones",
					with: map[string]any{"credentials_wo_version": 2}},
				"credentials_wo_version": {to: 2, unknown: "status status_detail zones",
					with: map[string]any{"credentials_wo": credentialsValue()}},
				"timeouts": {to: tftypes.NewValue(tftypes.Object{AttributeTypes: map[string]tftypes.Type{
					"delete": tftypes.String}}, map[string]tftypes.Value{
					"delete": tftypes.NewValue(tftypes.String, "5m")})},
			},
		},
		"dcvaas_acmedns_account": {
			map[string]any{"id": "ada_01k9z5w7r8e4bs6v0q1d2m3n4p", "description": "",
				"allow_from": textSet(), "username": "c36f50e8-4632-44f0-83fe-e070fef28a10",
				"password": "secret", "password_version": 1, "subdomain": "sub",
				"fulldomain": "sub.example.net", "server_url": "https://example.net/acmedns",
				"created_at": someTime},
			map[string]effect{
				"description": {to: "mail server"},
				"allow_from":  {to: textSet("192.0.2.0/24")},
				"delegation_id": {to: "dlg_01k9z5w7r8e4bs6v0q1d2m3n4p",
					unknown: "fulldomain"},
				"rotate_when_changed": {to: textMap("quarter", "2"),
					unknown: "password password_version"},
			},
		},
		"dcvaas_organization_member": {
			map[string]any{"id": "usr_01k9z5w7r8e4bs6v0q1d2m3n4p", "login": "octocat",
				"role": "member", "name": "Octo Cat", "state": "pending", "joined": false,
				"created_at": someTime},
			map[string]effect{
				"login": {to: "hubot", replaces: true,
					unknown: "created_at joined name state"},
				"role": {to: "admin"},
			},
		},
	}
}

// Each change of an attribute makes exactly those computed values unknown that it can affect, so
// that nothing that is keyed on the others is replaced.
func TestPlanMarksOnlyWhatAChangeAffects(t *testing.T) {
	t.Parallel()
	r := newRPC(&acc{T: t, now: time.Now})
	resources := settledResources(t)
	for kind, schema := range r.schemas.ResourceSchemas {
		c, ok := resources[kind]
		if !ok {
			t.Errorf("%s is not in the table", kind)
			continue
		}
		for _, a := range schema.Block.Attributes {
			change, ok := c.changes[a.Name]
			if settable := a.Required || a.Optional; settable != ok {
				t.Errorf("%s.%s in the table = %t, want %t", kind, a.Name, ok, settable)
				continue
			}
			if ok {
				t.Run(kind+"."+a.Name, func(t *testing.T) { r.checkEffect(t, schema, c, a.Name, change) })
			}
		}
	}
}

func (r *rpc) checkEffect(
	t *testing.T, schema *tfprotov6.Schema, c settled, name string, change effect,
) {
	t.Helper()
	config, proposed, kind := map[string]any{}, maps.Clone(c.state), strings.Split(t.Name(), "/")[1]
	kind, _, _ = strings.Cut(kind, ".")
	changed := map[string]any{name: change.to}
	maps.Copy(changed, change.with)
	for _, a := range schema.Block.Attributes {
		to, changes := changed[a.Name]
		switch {
		case changes && a.WriteOnly:
			config[a.Name] = to
		case changes:
			config[a.Name], proposed[a.Name] = to, to
		case a.Required || a.Optional && a.Name != "key_type" && a.Name != "expires_at":
			config[a.Name] = c.state[a.Name]
		}
	}
	if kind == "dcvaas_webhook" && config["secret_wo"] == nil {
		config["secret_wo"] = webhookSecret(1) // goes with its version
	}
	if kind == "dcvaas_dns_connection" && config["credentials_wo"] == nil {
		config["credentials_wo"] = credentialsValue()
	}
	typ := schema.ValueType()
	resp, err := r.PlanResourceChange(t.Context(), &tfprotov6.PlanResourceChangeRequest{
		TypeName: kind, PriorState: r.value(typ, c.state), Config: r.value(typ, config),
		ProposedNewState: r.value(typ, proposed)})
	if err != nil {
		t.Fatal(err)
	}
	r.ok(resp.Diagnostics)
	planned, err := resp.PlannedState.Unmarshal(typ)
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]tftypes.Value
	if err := planned.As(&values); err != nil {
		t.Fatal(err)
	}
	var unknown []string
	for name, v := range values {
		if !v.IsKnown() {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	want := strings.Fields(change.unknown)
	slices.Sort(want)
	if !slices.Equal(unknown, want) {
		t.Errorf("the unknown attributes are %v, want %v", unknown, want)
	}
	if replaces := len(resp.RequiresReplace) > 0; replaces != change.replaces {
		t.Errorf("the plan replaces the resource = %t, want %t", replaces, change.replaces)
	}
}
