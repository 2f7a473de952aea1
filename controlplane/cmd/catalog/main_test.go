package main

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
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

// The guides contain the current tables, and together every code of the catalog.
func TestGuidesAreUpToDate(t *testing.T) {
	t.Chdir("../..")
	all, err := sections()
	if err != nil {
		t.Fatal(err)
	}
	var texts strings.Builder
	for _, s := range all {
		guide, err := os.ReadFile(guides + s.guide)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(guide), s.text) {
			t.Errorf("the section %s of %s is stale, run make generate", s.name, s.guide)
		}
		texts.WriteString(s.text)
	}
	for _, c := range controlplane.Codes() {
		if !strings.Contains(texts.String(), "`"+c.Code+"`") {
			t.Errorf("no guide explains the code %s", c.Code)
		}
	}
}
