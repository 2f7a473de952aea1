package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

var _ datasource.DataSourceWithConfigure = (*domainDataSource)(nil)

type domainDataSource struct {
	*configured
}

type domainDataModel struct {
	Domain types.String `tfsdk:"domain"`
	domainSummary
	CSRPEM        types.String `tfsdk:"csr_pem"`
	Conditions    types.List   `tfsdk:"conditions"`
	StatusSummary types.Object `tfsdk:"status_summary"`
}

// domainSummary contains the attributes that a list of domains has, too.
type domainSummary struct {
	ID                  types.String      `tfsdk:"id"`
	Name                types.String      `tfsdk:"name"`
	Wildcard            types.Bool        `tfsdk:"wildcard"`
	AdditionalNames     types.Set         `tfsdk:"additional_names"`
	IssuePartial        types.Bool        `tfsdk:"issue_partial"`
	KeyType             types.String      `tfsdk:"key_type"`
	Profile             types.String      `tfsdk:"profile"`
	PreferredChain      types.String      `tfsdk:"preferred_chain"`
	CA                  types.String      `tfsdk:"ca"`
	AutoIssue           types.Bool        `tfsdk:"auto_issue"`
	AutoRenew           types.Bool        `tfsdk:"auto_renew"`
	Labels              types.Map         `tfsdk:"labels"`
	ConnectionID        types.String      `tfsdk:"connection_id"`
	Delegation          types.Object      `tfsdk:"delegation"`
	Delegations         types.Map         `tfsdk:"delegations"`
	Status              types.String      `tfsdk:"status"`
	StatusReason        types.String      `tfsdk:"status_reason"`
	OptionsRevision     types.Int64       `tfsdk:"options_revision"`
	CertificateRevision types.Int64       `tfsdk:"certificate_revision"`
	CertificateID       types.String      `tfsdk:"certificate_id"`
	ExpiresAt           timetypes.RFC3339 `tfsdk:"expires_at"`
	RenewAt             timetypes.RFC3339 `tfsdk:"renew_at"`
	LastIssuedAt        timetypes.RFC3339 `tfsdk:"last_issued_at"`
	CreatedAt           timetypes.RFC3339 `tfsdk:"created_at"`
	UpdatedAt           timetypes.RFC3339 `tfsdk:"updated_at"`
}

// Attributes of an element of `conditions`.
var conditionTypes = map[string]attr.Type{
	"type":            types.StringType,
	"status":          types.StringType,
	"reason":          types.StringType,
	"message":         types.StringType,
	"fix":             types.StringType,
	"last_checked_at": timetypes.RFC3339Type{},
	"next_check_at":   timetypes.RFC3339Type{},
	"names":           types.ListType{ElemType: notReadyType},
}

// notReadyType is the type of an element of `names` of a condition.
var notReadyType = types.ObjectType{AttrTypes: map[string]attr.Type{
	"name":     types.StringType,
	"reason":   types.StringType,
	"message":  types.StringType,
	"observed": types.StringType,
	"expected": types.StringType,
	"fix":      types.StringType,
}}

// Attributes of `status_summary`, and of its `next_event`.
var (
	eventTypes = map[string]attr.Type{"what": types.StringType, "at": timetypes.RFC3339Type{}}

	summaryTypes = map[string]attr.Type{
		"state":      types.StringType,
		"headline":   types.StringType,
		"reason":     types.StringType,
		"cause":      types.StringType,
		"next_step":  types.StringType,
		"next_event": types.ObjectType{AttrTypes: eventTypes},
		"actor":      types.StringType,
	}
)

func (d *domainDataSource) Metadata(
	_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse,
) {
	resp.TypeName = req.ProviderTypeName + "_domain"
}

func (d *domainDataSource) Schema(
	_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse,
) {
	attributes := domainSummaryAttributes()
	attributes["domain"] = schema.StringAttribute{Required: true,
		MarkdownDescription: "ID or name of the domain."}
	attributes["csr_pem"] = schema.StringAttribute{Computed: true,
		MarkdownDescription: "CSR, if you supplied one."}
	attributes["conditions"] = schema.ListAttribute{
		ElementType:         types.ObjectType{AttrTypes: conditionTypes},
		Computed:            true,
		MarkdownDescription: "Conditions: `type` (`DNSReady`, `CertificateReady`, `RenewalOnTrack`), `status` (`true`, `false`, `unknown`), `reason`, `message`, `fix`, `last_checked_at`, `next_check_at`, and `names`, the names that are not ready, the most important first: `name`, `reason`, `message`, `observed`, `expected`, and `fix`. It is empty if no name is the cause.",
	}
	attributes["status_summary"] = schema.ObjectAttribute{
		AttributeTypes:      summaryTypes,
		Computed:            true,
		MarkdownDescription: "State of the domain, its cause, and the next step: `state` (`active`, `renewing`, `at_risk`, `waiting`, `in_progress`, `blocked`, `expired`, or `revoked`), `headline`, `reason`, `cause`, `next_step`, `next_event` (`what` and `at`; null while work is in progress, or if nothing is scheduled), and `actor`, the party that acts next (`none`, `customer`, `service`, `ca`, or `operator`).",
	}
	resp.Schema = schema.Schema{MarkdownDescription: "A domain, by ID or name.",
		Attributes: attributes}
}

func domainSummaryAttributes() map[string]schema.Attribute {
	str := func(text string) schema.Attribute {
		return schema.StringAttribute{Computed: true, MarkdownDescription: text}
	}
	number := func(text string) schema.Attribute {
		return schema.Int64Attribute{Computed: true, MarkdownDescription: text}
	}
	flag := func(text string) schema.Attribute {
		return schema.BoolAttribute{Computed: true, MarkdownDescription: text}
	}
	when := func(text string) schema.Attribute {
		return schema.StringAttribute{CustomType: timetypes.RFC3339Type{}, Computed: true,
			MarkdownDescription: text}
	}
	return map[string]schema.Attribute{
		"id":       str("ID, `dom_…`."),
		"name":     str("Name in lowercase and A-labels."),
		"wildcard": flag("Whether the certificate also covers `*.name`."),
		"additional_names": schema.SetAttribute{ElementType: types.StringType, Computed: true,
			MarkdownDescription: "Further names in the certificate, in lowercase and A-labels."},
		"issue_partial":   flag("Whether a certificate is ordered for the names whose records are found while others are missing."),
		"key_type":        str("Key type of the certificate."),
		"profile":         str("ACME profile."),
		"preferred_chain": str("Common name of the preferred root certificate."),
		"ca":              str("Preferred CA."),
		"auto_issue": flag(
			"Whether the first certificate is issued as soon as the record is found, and a new one is ordered when the options change."),
		"auto_renew": flag("Whether the certificate is renewed automatically."),
		"labels": schema.MapAttribute{ElementType: types.StringType, Computed: true,
			MarkdownDescription: "Labels."},
		"connection_id": str("ID of the DNS connection through which the records are created; null without one."),
		"delegation": schema.ObjectAttribute{AttributeTypes: delegationTypes, Computed: true,
			MarkdownDescription: "The record to create for `name`: `name`, `fqdn` (with a trailing dot), `type`, and `target`."},
		"delegations": schema.MapAttribute{ElementType: checkedType, Computed: true,
			MarkdownDescription: "The records of all names by name without `*.`, each with the attributes of `delegation`, the result of its last check in `state` (`unchecked`, `delegated`, or `broken`), and, if it is broken, the `cause`: `code`, `message`, `observed`, `expected`, and `fix`."},
		"status":        str("`pending_cname`, `issuing`, `active`, or `error`."),
		"status_reason": str("Reason for the status, a stable code."),
		"options_revision": number("Rises with every change of an option that the certificate depends on: " +
			"`wildcard`, `additional_names`, `key_type`, `csr_pem`, `profile`, `preferred_chain`, or `ca`."),
		"certificate_revision": number("The `options_revision` that the current certificate was ordered for. " +
			"While it is lower, a new certificate is being ordered, or waits for a request."),
		"certificate_id": str("ID of the current certificate."),
		"expires_at":     when("When the current certificate expires."),
		"renew_at":       when("When the certificate is due for renewal."),
		"last_issued_at": when("When a certificate was last issued."),
		"created_at":     when("When the domain was added."),
		"updated_at":     when("When the domain last changed."),
	}
}

func (d *domainDataSource) Configure(
	_ context.Context, req datasource.ConfigureRequest, _ *datasource.ConfigureResponse,
) {
	d.configured, _ = req.ProviderData.(*configured)
}

func (d *domainDataSource) Read(
	ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse,
) {
	var m domainDataModel
	if resp.Diagnostics.Append(req.Config.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	found, err := findDomain(ctx, d.client, m.Domain.ValueString())
	if err != nil {
		problem{doing: "read the domain " + m.Domain.ValueString(),
			at: path.Root("domain")}.add(ctx, &resp.Diagnostics, err)
		return
	}
	m.fromAPI(found)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

func (m *domainDataModel) fromAPI(d *client.Domain) {
	m.domainSummary.fromAPI(d)
	m.CSRPEM = fromNullable(d.CsrPem)
	m.Conditions = conditionList(d.Conditions)
	m.StatusSummary = summaryObject(d.StatusSummary)
}

func (m *domainSummary) fromAPI(d *client.Domain) {
	m.ID = types.StringValue(d.Id)
	m.Name = types.StringValue(d.Name)
	m.Wildcard = types.BoolValue(d.Wildcard)
	m.AdditionalNames = namesFromAPI(d.AdditionalNames, types.SetValueMust(types.StringType, nil))
	m.IssuePartial = types.BoolValue(d.IssuePartial)
	m.ConnectionID = fromNullable(d.ConnectionId)
	m.KeyType = types.StringValue(string(d.KeyType))
	m.Profile = fromNullable(d.Profile)
	m.PreferredChain = fromNullable(d.PreferredChain)
	m.CA = fromNullable(d.Ca)
	m.AutoIssue = types.BoolValue(d.AutoIssue)
	m.AutoRenew = types.BoolValue(d.AutoRenew)
	m.Labels = labelsFromAPI(d.Labels, types.MapValueMust(types.StringType,
		map[string]attr.Value{}))
	m.Delegation = delegationObject(&d.Delegation)
	m.Delegations = checkedDelegations(d)
	m.Status = types.StringValue(string(d.Status))
	m.StatusReason = types.StringValue(d.StatusReason)
	m.OptionsRevision = types.Int64Value(d.OptionsRevision)
	m.CertificateRevision = fromNullableInt(d.CertificateRevision)
	m.CertificateID = fromNullable(d.CertificateId)
	m.ExpiresAt = fromNullableTime(d.ExpiresAt)
	m.RenewAt = fromNullableTime(d.RenewAt)
	m.LastIssuedAt = fromNullableTime(d.LastIssuedAt)
	m.CreatedAt = fromTime(d.CreatedAt)
	m.UpdatedAt = fromTime(d.UpdatedAt)
}

// checkedType is the type of the elements of delegations: a record, and the result of its check.
var checkedType = types.ObjectType{AttrTypes: map[string]attr.Type{
	"name":   types.StringType,
	"fqdn":   types.StringType,
	"type":   types.StringType,
	"target": types.StringType,
	"state":  types.StringType,
	"cause":  types.ObjectType{AttrTypes: causeTypes},
}}

func checkedDelegations(d *client.Domain) types.Map {
	elements := make(map[string]attr.Value, len(d.Delegations))
	for base, g := range d.Delegations {
		elements[base] = types.ObjectValueMust(checkedType.AttrTypes, map[string]attr.Value{
			"name":   types.StringValue(g.Name),
			"fqdn":   types.StringValue(g.Name + "."),
			"type":   types.StringValue(string(g.Type)),
			"target": types.StringValue(g.Target),
			"state":  types.StringValue(string(g.State)),
			"cause":  causeObject(g.Cause),
		})
	}
	return types.MapValueMust(checkedType, elements)
}

func conditionList(conditions []client.Condition) types.List {
	elements := make([]attr.Value, len(conditions))
	for i, c := range conditions {
		checked, next := timetypes.NewRFC3339Null(), timetypes.NewRFC3339Null()
		if c.LastCheckedAt != nil {
			checked = fromTime(*c.LastCheckedAt)
		}
		if c.NextCheckAt != nil {
			next = fromTime(*c.NextCheckAt)
		}
		elements[i] = types.ObjectValueMust(conditionTypes, map[string]attr.Value{
			"type":            types.StringValue(string(c.Type)),
			"status":          types.StringValue(string(c.Status)),
			"reason":          types.StringValue(c.Reason),
			"message":         types.StringValue(c.Message),
			"fix":             types.StringPointerValue(c.Fix),
			"last_checked_at": checked,
			"next_check_at":   next,
			"names":           notReadyList(c.Names),
		})
	}
	return types.ListValueMust(types.ObjectType{AttrTypes: conditionTypes}, elements)
}

// notReadyList returns the names that are not ready, empty for none.
func notReadyList(names *[]client.NameStatus) types.List {
	elements := []attr.Value{}
	if names == nil {
		names = &[]client.NameStatus{}
	}
	for _, n := range *names {
		elements = append(elements, types.ObjectValueMust(notReadyType.AttrTypes,
			map[string]attr.Value{
				"name":     types.StringValue(n.Name),
				"reason":   types.StringValue(n.Reason),
				"message":  types.StringValue(n.Message),
				"observed": types.StringPointerValue(n.Observed),
				"expected": types.StringPointerValue(n.Expected),
				"fix":      types.StringPointerValue(n.Fix),
			}))
	}
	return types.ListValueMust(notReadyType, elements)
}

func summaryObject(s client.StatusSummary) types.Object {
	event := types.ObjectNull(eventTypes)
	if next, err := s.NextEvent.Get(); err == nil {
		event = types.ObjectValueMust(eventTypes, map[string]attr.Value{
			"what": types.StringValue(string(next.What)), "at": fromTime(next.At)})
	}
	return types.ObjectValueMust(summaryTypes, map[string]attr.Value{
		"state":      types.StringValue(string(s.State)),
		"headline":   types.StringValue(s.Headline),
		"reason":     types.StringValue(s.Reason),
		"cause":      types.StringValue(s.Cause),
		"next_step":  types.StringValue(s.NextStep),
		"next_event": event,
		"actor":      types.StringValue(string(s.Actor)),
	})
}
