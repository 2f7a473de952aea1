package postgres_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/idna"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// The database has the same characters of an international name as a search for the whole name. A
// malformed name has none, and can be stored.
func TestUnicodePartsOfNames(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, name := range []string{"example.com", "müller.de", "shop.müller.de", "例え.テスト.example",
		"правда.рф", "bücher-straße.example", "日本語日本語日本語.jp", "ü.ü", "a-ü-b.com",
		"ไทย.example", "नमस्ते.भारत", "łódź.pl", "ελλάδα.gr", "çağrı.com.tr", "한국어.kr",
		"𠮷野家.example"} {
		stored, err := idna.Lookup.ToASCII(name)
		d.must(err)
		got := value[[]int64](d, `SELECT unicode_parts($1)`, stored)
		want := postgres.UnicodeParts(rules.UnicodeName(stored))
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("unicode_parts(%s) = %v, want %v", stored, got, want)
		}
	}
	for _, name := range []string{"", ".", "xn--", "xn--.", "xn---", "xn--99999999.com", "xn--a_.com",
		"xn--" + strings.Repeat("z", 59), "xn--" + strings.Repeat("9", 59) + ".com"} {
		_ = value[[]int64](d, `SELECT unicode_parts($1)`, name)
	}
}

// A search in Unicode reads the names that have its characters, whether few or most do.
func TestUnicodePartsOfALargeOrganization(t *testing.T) {
	t.Parallel()
	d := open(t)
	const names = 3000
	d.exec(`ALTER TABLE delegations DISABLE TRIGGER USER`)
	d.exec(`INSERT INTO targets SELECT md5(n::text), $1 FROM generate_series(1, $2::int) n`, d.org,
		names)
	d.exec(`INSERT INTO delegations (id, org_id, name, target)
		SELECT 'dlg_' || n, $1, CASE n WHEN 7 THEN 'xn--r8jz45g.example' ELSE 'd' || n || '.xn--mller-kva.de' END, md5(n::text)
		FROM generate_series(1, $2::int) n`, d.org, names)
	d.exec(`VACUUM ANALYZE delegations`)
	for text, want := range map[string]int{"例": 1, "例え": 1, "え例": 0, "例え.e": 1, "é": 0, "ü": 50,
		"mü": 50, "mül": 50, "77.mü": 30, "d77.mü": 1} {
		got, _, err := d.ListDelegations(t.Context(), d.org,
			postgres.DelegationFilter{Query: text, Limit: 50})
		if err != nil || len(got) != want {
			t.Errorf("ListDelegations(%q) = %d delegations, %v, want %d", text, len(got), err, want)
		}
	}
	for _, text := range []string{"例", "例え", "é", "ü"} {
		plan, err := d.ExplainPart(t.Context(), d.org, text)
		d.must(err)
		if n := blocks(plan); n > 60 {
			t.Errorf("the part %q of a name touches %d blocks:\n%s", text, n, plan)
		}
	}
	d.add(d.org, "xn--mnchen-3ya.example")
	for _, text := range []string{"ü", "MÜ", "ün"} {
		f := postgres.DomainFilter{Query: text, Limit: 10}
		if got, _, err := d.ListDomains(t.Context(), d.org, f); err != nil || len(got) != 1 {
			t.Errorf("ListDomains(%q) = %s, %v, want one domain", text, fmt.Sprint(got), err)
		}
	}
}
