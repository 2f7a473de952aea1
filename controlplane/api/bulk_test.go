package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

var asCSV = header("Content-Type", "text/csv; charset=utf-8")

// results returns "name status code pointers" of every entry in the response to a bulk call.
func (a *answer) results() []string {
	a.t.Helper()
	var out []string
	list, _ := a.json["data"].([]any)
	for i, item := range list {
		one := item.(map[string]any)
		if one["index"] != float64(i) {
			a.t.Errorf("index of entry %d = %v", i, one["index"])
		}
		line := fmt.Sprint(one["name"], " ", one["status"])
		if one["status"] == "refused" {
			line += fmt.Sprint(" ", one["code"])
			if one["domain"] != nil || one["detail"] == nil || one["fix"] == nil {
				a.t.Errorf("rejected entry = %v, want code, detail, and fix", one)
			}
		} else if d, ok := one["domain"].(map[string]any); !ok || d["id"] == nil ||
			one["code"] != nil {
			a.t.Errorf("entry = %v, want no error", one)
		}
		for _, e := range one["errors"].([]any) {
			line += " " + e.(map[string]any)["pointer"].(string)
		}
		out = append(out, line)
	}
	return out
}

// Each entry is accepted or rejected separately, in JSON and in CSV.
func TestBulk(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		body    string
		options []option
		at      func(entry int) string
	}{
		"JSON": {`{"domains":[{"name":"Fresh.example.com."},{"name":"there.example.com"},{"name":"192.0.2.1"},{"name":"fresh.example.com"},
			{"name":"b.example.com","key_type":"dsa","wildcard":"maybe"},{"wildcard":true},
			{"name":"options.example.com","wildcard":true,"key_type":"ec384","auto_issue":false,"labels":{"team":"red, or blue","env":"prod"}},
			{"name":"c.example.com","ca":"third","profile":"A B"},{"name":"last.example.com"}]}`, nil,
			func(i int) string { return fmt.Sprint("/domains/", i) }},
		"CSV": {"\uFEFFname,wildcard,KEY_TYPE, auto_issue ,labels,ca,profile\r\nFresh.example.com.,,,,,,\r\nthere.example.com,,,,,,\r\n192.0.2.1,,,,,,\r\nfresh.example.com,,,,,,\r\n" +
			"b.example.com,maybe,dsa,,,,\r\n,true,,,,,\r\n\"options.example.com\",TRUE,ec384,false,\"team=red, or blue; env=prod;\",,\r\nc.example.com,,,,,third,A B\r\nlast.example.com,,,,,,", []option{asCSV},
			func(i int) string { return fmt.Sprint("/lines/", i+2) }},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			there := w.newDomain(w.org, "there.example.com")
			a := w.do("POST", "/api/domains/bulk", c.body, c.options...).is(200)
			want := []string{
				"Fresh.example.com. created", "there.example.com exists",
				"192.0.2.1 refused name-ip " + c.at(2) + "/name", "fresh.example.com exists",
				"b.example.com refused invalid-fields " + c.at(4) + "/key_type " + c.at(4) +
					"/wildcard", " refused field-required " + c.at(5) + "/name",
				"options.example.com created", "c.example.com refused invalid-fields " + c.at(7) +
					"/profile " + c.at(7) + "/ca", "last.example.com created",
			}
			if got := a.results(); !slices.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if a.json["created"] != 3.0 || a.json["exists"] != 2.0 || a.json["refused"] != 4.0 {
				t.Errorf("created, exists, refused = %v, %v, %v, want 3, 2, 4", a.json["created"],
					a.json["exists"], a.json["refused"])
			}
			data := a.json["data"].([]any)
			if id := data[1].(map[string]any)["domain"].(map[string]any)["id"]; id != there.ID {
				t.Errorf("ID of the existing domain = %v", id)
			}
			d := data[6].(map[string]any)["domain"].(map[string]any)
			labels := d["labels"].(map[string]any)
			if d["wildcard"] != true || d["key_type"] != "ec384" || d["auto_issue"] != false ||
				d["auto_renew"] != true || labels["team"] != "red, or blue" ||
				labels["env"] != "prod" {
				t.Errorf("options of the domain = %v, want those of its line", d)
			}
			if line := data[6].(map[string]any)["line"]; (line == 8.0) != (what == "CSV") {
				t.Errorf("line %v", line)
			}
			// Each domain has its job and its log entry, and is counted.
			if jobs, log, used := w.count(`SELECT count(*) FROM jobs`),
				w.count(`SELECT count(*) FROM audit_logs WHERE action = 'domain.created'`),
				w.count(`SELECT domain_count FROM organizations`); jobs != 4 || log != 4 ||
				used != 4 {
				t.Errorf("%d jobs, %d entries, %d counted", jobs, log, used)
			}
		})
	}
}

// Domains are added up to the plan's limit; existing domains do not count again.
func TestBulkBeyondThePlan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	free := as(w.newTier(controlplane.TierFree))
	w.do("POST", "/api/domains", map[string]any{"name": "a.example.com"}, free).is(201)
	a := w.do("POST", "/api/domains/bulk",
		"name\nb.example.com\na.example.com\n-\nc.example.com\nd.example.com\nb.example.com\nd.example.com\n", asCSV, free).is(200)
	want := []string{"b.example.com created", "a.example.com exists",
		"- refused name-invalid /lines/4/name", "c.example.com created",
		"d.example.com refused plan-limit", "b.example.com exists",
		"d.example.com refused plan-limit"}
	if got := a.results(); !slices.Equal(got, want) {
		t.Errorf("POST /api/domains/bulk results = %q, want %q", got, want)
	}
	if detail := a.json["data"].([]any)[4].(map[string]any)["detail"]; detail != "The free plan includes 3 domains, and 3 are in use." {
		t.Errorf("detail beyond the plan's limit = %v, want the limit and its use", detail)
	}
	if n := w.count(`SELECT count(*) FROM domains`); n != 3 {
		t.Errorf("%d domains", n)
	}
}

// Lists and single domains are added concurrently: each name exists once, none is lost, the limit
// holds, and no call blocks.
func TestBulkAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(`UPDATE organizations SET domain_limit = 40 WHERE id = $1`, w.org)
	created := make(chan int, 16)
	for n := range 8 {
		go func() {
			var list strings.Builder
			list.WriteString("name\n")
			for i := range 30 {
				fmt.Fprintf(&list, "n%d.example.com\n", (i*7+n*11)%60)
			}
			a := w.do("POST", "/api/domains/bulk", list.String(), asCSV)
			n, _ := a.json["created"].(float64)
			created <- int(n)
		}()
		go func() {
			a := w.do("POST", "/api/domains",
				map[string]any{"name": fmt.Sprintf("n%d.example.com", n)})
			if a.status == http.StatusCreated {
				created <- 1
				return
			}
			created <- 0
		}()
	}
	total := 0
	for range 16 {
		total += <-created
	}
	if n := w.count(`SELECT count(*) FROM domains`); total != 40 || n != 40 {
		t.Errorf("%d domains reported as created, %d stored", total, n)
	}
}

// A list that is sent again with its key is not executed again, and its response is identical, even
// after changes in between.
func TestBulkOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	list := "name\na.example.com\n192.0.2.1\nb.example.com\na.example.com\n"
	first := w.do("POST", "/api/domains/bulk", list, asCSV, key("k")).is(200)
	w.do("DELETE", "/api/domains/a.example.com", nil).is(204)
	again := w.do("POST", "/api/domains/bulk", list, asCSV, key("k")).is(200)
	if again.body != first.body || again.header.Get("Idempotency-Replayed") != "true" ||
		w.count(`SELECT count(*) FROM domains`) != 1 {
		t.Errorf("%s\nthen %s", first.body, again.body)
	}
	w.do("POST", "/api/domains/bulk", list+"c.example.com\n", asCSV, key("k")).problem(422,
		"idempotency-key-reused")
}

func TestBulkWrongBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	many := func(n int) string { return "name\n" + strings.Repeat("x\n", n) }
	for _, c := range []struct {
		what, body string
		options    []option
		status     int
		code       string
		says       string
	}{
		{"nothing", "", []option{asCSV}, 400, "malformed-csv", "empty"},
		{"nothing but a BOM", "\uFEFF\r\n", []option{asCSV}, 400, "malformed-csv", "empty"},
		{"no header", "example.com\n", []option{asCSV}, 400, "malformed-csv",
			"The name of column 1 is not one of"},
		{"unknown column", "name,wild\na.example.com,true\n", []option{asCSV}, 400, "malformed-csv",
			"The name of column 2 is not one of"},
		{"unknown column between semicolons", "name;wild\na.example.com;true\n", []option{asCSV}, 400,
			"malformed-csv", "Fields are separated by semicolons here."},
		{"header that is not UTF-8", "name,k\xffy\na.example.com,x\n", []option{asCSV}, 400,
			"malformed-csv", "not UTF-8"},
		{"open quote in the header", "name,\"ca\na.example.com,x\n", []option{asCSV}, 400,
			"malformed-csv", "Line 1: A quotation mark is not closed"},
		{"only a separator", "sep=;\n", []option{asCSV}, 400, "malformed-csv", "empty"},
		{"doubled column", "name,ca,NAME\na.example.com,,b.example.com\n", []option{asCSV}, 400,
			"malformed-csv", "Duplicate column: name"},
		{"no name", "ca\nfirst\n", []option{asCSV}, 400, "malformed-csv", "Missing column: name"},
		{"no rows", "name\r\n\r\n", []option{asCSV}, 422, "too-few", "No entries follow"},
		{"501 rows", many(501), []option{asCSV}, 422, "too-many", "/lines/502"},
		{"another charset", "name\na.example.com\n",
			[]option{header("Content-Type", "text/csv; charset=iso-8859-1")}, 415,
			"unsupported-media-type", "UTF-8"},
		{"another type", "name\na.example.com\n", []option{header("Content-Type", "text/plain")},
			415, "unsupported-media-type", "neither"},
		{"no list", `{"domains":{}}`, nil, 422, "wrong-type", "/domains"},
		{"no domains", `{"domains":[]}`, nil, 422, "too-few", "/domains"},
		{"501 domains", `{"domains":[` + strings.Repeat(`{"name":"x"},`, 500) +
			`{"name":"x"}]}`, nil, 422, "too-many", "/domains"},
		{"an entry that is not an object", `{"domains":[{"name":"a.example.com"},5]}`, nil, 422,
			"wrong-type", "/domains/1"},
		{"unknown field", `{"domains":[{"name":"a.example.com","wild":true}]}`, nil, 400,
			"unknown-field", "/domains/0/wild"},
		{"NUL in JSON", `{"domains":[{"name":"a\u0000.example.com"}]}`, nil, 422,
			"invalid-character", "/domains/0/name"},
	} {
		a := w.do("POST", "/api/domains/bulk", c.body, c.options...).problem(c.status, c.code)
		if !strings.Contains(a.string("detail"), c.says) {
			t.Errorf("%s: detail = %s, want it to contain %q", c.what, a.body, c.says)
		}
	}
	w.do("POST", "/api/domains", "name\na.example.com\n", asCSV).problem(415,
		"unsupported-media-type")
	if n := w.count(`SELECT count(*) FROM domains`); n != 0 {
		t.Errorf("%d domains", n)
	}
	if a := w.do("POST", "/api/domains/bulk", many(500),
		asCSV).is(200); a.json["refused"] != 500.0 {
		t.Errorf("refused = %v of 500 malformed entries, want 500", a.json["refused"])
	}
}

// No CSV makes the decoder panic. An accepted one has a line number for every entry, and each entry
// is refused or can be validated.
func FuzzCSV(f *testing.F) {
	table, _, err := readContract()
	if err != nil {
		f.Fatal(err)
	}
	op := table["POST /api/domains/bulk"]
	for _, seed := range []string{"", "name", "name\na.example.com",
		"\uFEFFname,labels\r\n\"a\",\"k=v;\r\nl=w\"\r\n", "name,name\n", "\"name\n",
		"name,ca\n\n,\n", "name\n\xff", "sep=;\nname;ca\ra;\"b\n\"c", "\xff\xfen\x00\n\x00",
		"name\n\"a\n\"\"b\n\"c\"\n", "name,csr_pem\na,\"-----BEGIN\n\"\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		body, err := op.decodeCSV(t.Context(), raw)
		if err != nil {
			if e := asHTTPError(err); e.status != http.StatusBadRequest &&
				e.status != http.StatusUnprocessableEntity {
				t.Fatalf("decodeCSV(%q) = status %d (%v), want 400 or 422", raw, e.status, err)
			}
			return
		}
		entries, lines := body.value["domains"].([]any), body.lines
		if len(entries) == 0 || len(entries) > 500 || len(lines) != len(entries) ||
			!slices.IsSorted(lines) || lines[0] < 2 {
			t.Fatalf("%d entries on lines %v", len(entries), lines)
		}
		for i, wrong := range body.refused {
			if i < 0 || i >= len(entries) || wrong.total() == 0 {
				t.Fatalf("entry %d of %d is refused with %d errors", i, len(entries), wrong.total())
			}
		}
		refused, err := op.checkValue(t.Context(), body.value)
		if err != nil {
			t.Fatalf("decoded CSV is not JSON: %v", err)
		}
		for i := range refused {
			if i < 0 || i >= len(entries) {
				t.Fatalf("entry %d of %d", i, len(entries))
			}
		}
	})
}

// BenchmarkBulk adds 500 domains durably with one call, and in comparison 500 with one call each.
func BenchmarkBulk(b *testing.B) {
	w := newBenchWorld(b)
	w.exec(`UPDATE organizations SET domain_limit = 100000000`)
	n := 0
	for _, c := range []struct {
		name    string
		options []option
	}{{"plain", []option{asCSV}}, {"once", []option{asCSV}}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				var list strings.Builder
				list.WriteString("name\n")
				for range 500 {
					n++
					fmt.Fprintf(&list, "bulk%d.example.com\n", n)
				}
				options := c.options
				if c.name == "once" {
					options = append(options, key(fmt.Sprint(n)))
				}
				w.do("POST", "/api/domains/bulk", list.String(), options...).is(200)
			}
		})
	}
	b.Run("one by one", func(b *testing.B) {
		for b.Loop() {
			for range 500 {
				n++
				w.do("POST", "/api/domains",
					map[string]any{"name": fmt.Sprintf("bulk%d.example.com", n)}).is(201)
			}
		}
	})
}
