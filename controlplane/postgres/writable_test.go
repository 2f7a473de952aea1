package postgres_test

import (
	"strings"
	"testing"
)

// TestCheckWritable tests that the check writes a row and a temporary file.
func TestCheckWritable(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx := t.Context()
	for range 2 {
		d.must(d.CheckWritable(ctx))
	}
	if got := value[int](d, `SELECT count(*) FROM write_checks`); got != 1 {
		t.Errorf("rows that CheckWritable() wrote = %d, want 1", got)
	}
	plan, err := d.ExplainSpill(ctx)
	d.must(err)
	if !strings.Contains(plan, "external") || !strings.Contains(plan, "temp read=") {
		t.Errorf("plan of the statement = %s, want one that writes a temporary file", plan)
	}
}
