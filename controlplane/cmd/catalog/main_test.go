package main

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAlertRulesAreUpToDate(t *testing.T) {
	t.Parallel()
	want, err := alertRules()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../" + rules)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("deploy/prometheus-rules.yaml is stale, run make generate (-catalog +file):\n%s",
			diff)
	}
}
