package api

import (
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
)

// inUTF16 returns a text in UTF-16.
func inUTF16(order binary.AppendByteOrder, text string) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		b = order.AppendUint16(b, unit)
	}
	return string(b)
}

// The files of spreadsheets are accepted. A malformed row is refused, with its line, field, and
// reason, and affects no other row.
func TestBulkSpreadsheets(t *testing.T) {
	t.Parallel()
	const plain = "name,wildcard,labels\r\na.example.com,TRUE,team=shop\r\nb.example.com,FALSE,\r\n"
	both := []string{"a.example.com created", "b.example.com created"}
	charset := func(name string) []option {
		return []option{header("Content-Type", "text/csv; charset="+name)}
	}
	replaced := func(commas string) string { return strings.ReplaceAll(plain, ",", commas) }
	for what, c := range map[string]struct {
		body    string
		want    []string
		options []option
	}{
		"commas":                      {body: plain, want: both},
		"semicolons":                  {body: replaced(";"), want: both},
		"tabs":                        {body: replaced("\t"), want: both},
		"sep=;":                       {body: "sep=;\r\n" + replaced(";"), want: both},
		"quoted sep":                  {body: "\"sep=;\"\r\n" + replaced(";"), want: both},
		"sep=tab":                     {body: "\uFEFFSEP=\t\n" + replaced("\t"), want: both},
		"sep=, and one column":        {body: "sep=,\nname\na.example.com\nb.example.com", want: both},
		"LF":                          {body: strings.ReplaceAll(plain, "\r\n", "\n"), want: both},
		"CR":                          {body: strings.ReplaceAll(plain, "\r\n", "\r"), want: both},
		"byte order mark":             {body: "\uFEFF" + plain, want: both},
		"blank rows":                  {body: "\r\n,,\r\n" + strings.ReplaceAll(plain, "\r\n", "\r\n,,\r\n\r\n \r\n"), want: both},
		"UTF-16 (Unicode text)":       {body: inUTF16(binary.LittleEndian, "\uFEFF"+replaced("\t")), want: both},
		"UTF-16 with its charset":     {body: inUTF16(binary.LittleEndian, "\uFEFF"+plain), want: both, options: charset("UTF-16")},
		"UTF-16BE":                    {body: inUTF16(binary.BigEndian, "\uFEFF"+plain), want: both},
		"UTF-16 without a mark":       {body: inUTF16(binary.LittleEndian, plain), want: both},
		"UTF-16BE without a mark":     {body: inUTF16(binary.BigEndian, plain), want: both, options: charset("utf-16be")},
		"missing fields at the end":   {body: "name,ca,labels\na.example.com\nb.example.com,\n", want: both},
		"more empty fields":           {body: "name,ca,,\na.example.com,,,,,,\nb.example.com,,\n", want: both},
		"spaces around quoted fields": {body: "name , labels\n\"a.example.com\" , \"k=v\" \n b.example.com , k=v\n", want: both},
		"quotation mark in a field":   {body: "name,labels\na.example.com,size=5\" wide\nb.example.com,\"q=\"\"x\"\"\"\n", want: both},
		"line break in a field":       {body: "name,labels\na.example.com,\"k=v\r\nl=w\"\nb.example.com,\n", want: both},
		"Windows-1252 in one row": {body: "name,labels\na.example.com,\nb\xfccher.example.com,k=v\nb.example.com,k=\xfc\nc.example.com,\n",
			want: []string{"a.example.com created", " refused invalid-character /lines/3/name",
				"b.example.com refused invalid-character /lines/4/labels", "c.example.com created"}},
		"NUL": {body: "name,labels\na\x00.example.com,\nb.example.com,\n",
			want: []string{" refused invalid-character /lines/2/name", "b.example.com created"}},
		"a field too many": {body: "name,ca\na.example.com,,x\nb.example.com,\n",
			want: []string{"a.example.com refused too-many /lines/2", "b.example.com created"}},
		"a field under a column without a name": {body: "name,\na.example.com,x\nb.example.com,\n",
			want: []string{"a.example.com refused too-many /lines/2", "b.example.com created"}},
		"text after a quotation mark": {body: "name,labels\na.example.com,\"k=v\"x\nb.example.com,\n",
			want: []string{"a.example.com refused malformed-csv /lines/2/labels",
				"b.example.com created"}},
		"open quotation mark": {body: "name,labels\na.example.com,k=v\nb.example.com,\"k=v\nc.example.com,\n\nd.example.com,k=v\n",
			want: []string{"a.example.com created", "b.example.com refused malformed-csv /lines/3/labels",
				"c.example.com created", "d.example.com created"}},
		"open quotation mark before quoted fields": {body: "name,labels\n\"a.example.com,k=v\n\"b.example.com\",\"k=v\nl=w\"\nc.example.com,\n",
			want: []string{" refused malformed-csv /lines/2/name", "b.example.com created",
				"c.example.com created"}},
		"two open quotation marks": {body: "name,labels\na.example.com,\"k=v\nb.example.com,\"k=v\nc.example.com,\n",
			want: []string{"a.example.com refused malformed-csv /lines/2/labels",
				"b.example.com refused malformed-csv /lines/3/labels", "c.example.com created"}},
		"wrong values": {body: "name;wildcard;labels\na.example.com;WAHR;\nb.example.com;;team\nc.example.com;;\n",
			want: []string{"a.example.com refused wrong-type /lines/2/wildcard",
				"b.example.com refused wrong-type /lines/3/labels", "c.example.com created"}},
		"lines are counted in the file": {body: "sep=,\r\n\r\nname,labels\r\na.example.com,\"k=v\r\nl=w\"\r\n\r\n-,\r\n",
			want: []string{"a.example.com created", "- refused name-invalid /lines/7/name"}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			options := c.options
			if options == nil {
				options = []option{asCSV}
			}
			a := w.do("POST", "/api/domains/bulk", c.body, options...).is(200)
			for _, one := range a.json["data"].([]any) {
				if detail, ok := one.(map[string]any)["detail"].(string); ok &&
					strings.HasPrefix(detail, ":") {
					t.Errorf("detail = %q, want a sentence", detail)
				}
			}
			if diff := cmp.Diff(c.want, a.results()); diff != "" {
				t.Errorf("POST /api/domains/bulk: (-want +got)\n%s", diff)
			}
		})
	}
}

// Values within a field are separated by white space, or by semicolons.
func TestCSVFields(t *testing.T) {
	t.Parallel()
	table, _, err := readContract()
	if err != nil {
		t.Fatal(err)
	}
	op := table["POST /api/domains/bulk"]
	labels := func(pairs ...string) any {
		m := map[string]any{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	for text, want := range map[string]any{
		"team=shop":                       labels("team", "shop"),
		"team=shop env=prod":              labels("team", "shop", "env", "prod"),
		"\"team=shop\nenv=prod\"":         labels("team", "shop", "env", "prod"),
		"team=red or blue":                labels("team", "red or blue"),
		`"team=red, or blue; env=prod ;"`: labels("team", "red, or blue", "env", "prod"),
		"a=b=c":                           labels("a", "b=c"),
		"empty=":                          labels("empty", ""),
		"team":                            "team",
		"a=b;c":                           "a=b;c",
		"a=b a=c":                         "a=b a=c",
	} {
		body, err := op.decodeCSV(t.Context(), []byte("name,labels\na.example.com,"+text+"\n"))
		if err != nil {
			t.Errorf("decodeCSV(%q) = %v", text, err)
			continue
		}
		got := body.value["domains"].([]any)[0].(map[string]any)["labels"]
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("labels of %q: (-want +got)\n%s", text, diff)
		}
	}
	for text, want := range map[string][]string{
		"a.example.com": {"a.example.com"}, "a b\tc": {"a", "b", "c"}, "a; b c;;": {"a", "b c"},
		"a\nb": {"a", "b"}, ";": nil} {
		if diff := cmp.Diff(want, parts(text)); diff != "" {
			t.Errorf("parts(%q): (-want +got)\n%s", text, diff)
		}
	}
}

// A row can have additional names. They are separated by white space or, in a quoted field, by
// semicolons, and an invalid one is reported by its line and index.
func TestCSVOfSeveralNames(t *testing.T) {
	t.Parallel()
	const header, row = "name,wildcard,additional_names,issue_partial\n", "a.example.com,true,"
	two := []string{"*.a.example.net", "b.example.net"}
	for what, c := range map[string]struct {
		body, want string
		names      []string
	}{
		"white space":   {header + row + "B.example.net *.a.example.net,\n", "created", two},
		"tabs":          {header + row + "b.example.net\t*.a.example.net,\n", "created", two},
		"quoted":        {header + row + "\"b.example.net *.a.example.net\",TRUE\n", "created", two},
		"semicolons":    {header + row + "\"b.example.net; *.a.example.net;\",\n", "created", two},
		"line breaks":   {header + row + "\"b.example.net\r\n*.a.example.net\",\n", "created", two},
		"one":           {header + row + "b.example.net,false\n", "created", two[1:]},
		"none":          {header + row + ",\n", "created", []string{}},
		"only a column": {header + row + "\" ; \",\n", "created", []string{}},
		"fields between semicolons": {strings.ReplaceAll(header+row, ",", ";") +
			"\"b.example.net;*.a.example.net\";\n", "created", two},
		"fields between tabs": {strings.ReplaceAll(header+row, ",", "\t") +
			"b.example.net *.a.example.net\t\n", "created", two},
		"invalid names": {header + row + "\"b.example.net com www.a.example.com B.example.net\",\n",
			"refused invalid-fields /lines/2/additional_names/1 /lines/2/additional_names/2 " +
				"/lines/2/additional_names/3", nil},
		"too many": {header + row + "\"" + strings.Repeat("b.example.net ", 101) + "\",\n",
			"refused too-many /lines/2/additional_names", nil},
		"a word for issue_partial": {header + row + "b.example.net,some\n",
			"refused wrong-type /lines/2/issue_partial", nil},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.do("POST", "/api/domains/bulk", c.body, asCSV).is(200)
			if diff := cmp.Diff([]string{"a.example.com " + c.want}, a.results()); diff != "" {
				t.Fatalf("POST /api/domains/bulk: (-want +got)\n%s", diff)
			}
			d, ok := a.json["data"].([]any)[0].(map[string]any)["domain"].(map[string]any)
			if !ok {
				return
			}
			one := &answer{t: t, json: d}
			if diff := cmp.Diff(c.names, one.strings("additional_names")); diff != "" {
				t.Errorf("additional_names: (-want +got)\n%s", diff)
			}
			if want := strings.Contains(c.body, "TRUE"); d["issue_partial"] != want {
				t.Errorf("issue_partial = %v, want %v", d["issue_partial"], want)
			}
		})
	}
}
