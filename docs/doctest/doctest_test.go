package doctest_test

import (
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/docs/doctest"
)

const document = "# Title\n\ntext\n\n```shell\necho hello\n```\n\nIt prints:\n\n```\nhello\n```\n\n" +
	"## Second\n\n<!-- not run: needs\nAWS -->\n```terraform\na = 1\n```\n\n" +
	"<!-- other -->\n<!-- run: new file=a.tf -->\n<!-- given:\nb = 2\n-->\n  ```terraform\n  c = 3\n" +
	"    d = 4\n  ```\n"

func TestParse(t *testing.T) {
	t.Parallel()
	got, err := doctest.Parse("a.md", document)
	if err != nil || len(got) != 4 {
		t.Fatalf("Parse = %d blocks, %v, want 4", len(got), err)
	}
	if b := got[0]; b.At() != "a.md:5" || b.Language != "shell" || b.Text != "echo hello\n" ||
		len(b.Outputs) != 1 || b.Outputs[0] != got[1] || b.Section != "Title" {
		t.Errorf("first block = %+v", b)
	}
	if b := got[2]; b.NotRun != "needs AWS" || len(b.Outputs) != 0 || b.Section != "Second" {
		t.Errorf("third block = %+v", b)
	}
	if b := got[3]; !b.Has("new") || b.Option("file") != "a.tf" || b.Given != "b = 2\n" ||
		b.Text != "c = 3\n  d = 4\n" {
		t.Errorf("fourth block = %+v", b)
	}
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"```sh\necho":                        "a.md:1: the block has no end",
		"<!-- run: x -->\n\ntext\n":          "no code block follows",
		"<!-- run: x -->\n":                  "no code block follows",
		"<!-- not run: -->\n```sh\n```\n":    "without a reason",
		"<!-- given:\nx = 1\n\n```sh\n```\n": "the comment has no end",
	} {
		if _, err := doctest.Parse("a.md", text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q) = %v, want an error with %q", text, err, want)
		}
	}
}
