package api

import (
	"math"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// ruleLimits are the limits of request fields that client/rules has, too, by the end of their path.
var ruleLimits = map[string]uint64{
	"createDomain/name": rules.MaxNameInput, "createDelegation/name": rules.MaxNameInput,
	"domains/-/name": rules.MaxNameInput, "overwrite/-/name": rules.MaxNameInput,
	"additional_names":   rules.MaxNames,
	"additional_names/-": rules.MaxNameInput,
	"csr_pem":            rules.MaxCSR, "profile": rules.MaxProfile,
	"preferred_chain": rules.MaxPreferredChain, "ca": rules.MaxCA,
	"labels": rules.MaxLabels, "labels/*": rules.MaxLabelValue,
	"name":   rules.MaxDisplayName,
	"scopes": rules.MaxTokenScopes, "domain_ids": rules.MaxTokenDomains,
	"overlap_seconds": uint64(rules.MaxOverlap.Seconds()),
	"login":           rules.MaxLogin,
	"url":             rules.MaxWebhookURL, "description": rules.MaxDescription,
	"events": rules.MaxWebhookEvents, "secret": rules.MaxWebhookSecret,
	"password": rules.MaxPassword,
}

// The API description and client/rules have the same limits, so that the provider rejects what the
// API rejects.
func TestContractHasTheLimitsOfTheRules(t *testing.T) {
	t.Parallel()
	table, _, err := readContract()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, op := range table {
		if op.body != nil {
			checkLimits(t, op.body, op.id, found)
		}
	}
	for path := range ruleLimits {
		if !found[path] {
			t.Errorf("no request has a field %s with a limit", path)
		}
	}
	list := table["GET /api/domains"].query
	for name, want := range map[string]uint64{"q": rules.MaxSearch,
		"label": uint64(rules.MaxLabelFilter)} {
		if got := list[name].schema.MaxLength; got == nil || *got != want {
			t.Errorf("maxLength of the parameter %s = %v, want %d", name, got, want)
		}
	}
}

// checkLimits compares the limits of a schema with those of the rules. found collects the rules.
func checkLimits(t *testing.T, s *openapi3.Schema, path string, found map[string]bool) {
	t.Helper()
	limit := s.MaxLength
	switch {
	case s.Type.Is(openapi3.TypeArray):
		limit = s.MaxItems
		checkLimits(t, s.Items.Value, path+"/-", found)
	case s.Type.Is(openapi3.TypeObject):
		limit = s.MaxProps
		if more := s.AdditionalProperties.Schema; more != nil {
			checkLimits(t, more.Value, path+"/*", found)
		}
		for name, field := range s.Properties {
			checkLimits(t, field.Value, path+"/"+name, found)
		}
	case s.Max != nil:
		limit = new(uint64(math.Round(*s.Max)))
	}
	if limit == nil {
		return
	}
	best := ""
	for end := range ruleLimits {
		if strings.HasSuffix("/"+path, "/"+end) && len(end) > len(best) {
			best = end
		}
	}
	if best == "" {
		return
	}
	if found[best] = true; *limit != ruleLimits[best] {
		t.Errorf("limit of %s = %d, want the rule's %d", path, *limit, ruleLimits[best])
	}
}
