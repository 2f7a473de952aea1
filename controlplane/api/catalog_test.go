package api

import (
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// The enums of openapi.yaml list the catalogs of the root package.
func TestContractListsTheCatalogs(t *testing.T) {
	t.Parallel()
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	schemas := doc.Components.Schemas
	condition := schemas["Condition"].Value.Properties
	got := map[string][]any{
		"JobType":             schemas["JobType"].Value.Enum,
		"Condition.type":      condition["type"].Value.Enum,
		"Condition.status":    condition["status"].Value.Enum,
		"StatusSummary.state": schemas["StatusSummary"].Value.Properties["state"].Value.Enum,
	}
	want := map[string][]any{"Condition.status": {
		string(controlplane.ConditionTrue), string(controlplane.ConditionFalse),
		string(controlplane.ConditionUnknown),
	}}
	for _, k := range controlplane.JobKinds() {
		want["JobType"] = append(want["JobType"], string(k.Type))
	}
	for _, k := range controlplane.ConditionKinds() {
		want["Condition.type"] = append(want["Condition.type"], string(k.Type))
	}
	for _, k := range controlplane.SummaryKinds() {
		want["StatusSummary.state"] = append(want["StatusSummary.state"], string(k.State))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the enums of openapi.yaml differ from the catalogs (-catalogs +openapi.yaml):\n%s", diff)
	}
}
