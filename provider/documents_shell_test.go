package provider

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/docs/doctest"
)

// missingTool returns the first program of a block that this machine lacks.
func missingTool(b *doctest.Block) string {
	for _, tool := range []string{"dig", "jq", "curl", "openssl"} {
		if regexp.MustCompile(`(^|[\s(|])` + tool + ` `).MatchString(b.Text) {
			if _, err := exec.LookPath(tool); err != nil {
				return tool
			}
		}
	}
	return ""
}

// shell runs a block of commands. It must succeed, and print the lines that the document shows.
// Each block starts where the one before has ended: in its folder, with its variables.
func (d *docRun) shell(b *doctest.Block) {
	d.Helper()
	if tool := missingTool(b); tool != "" {
		d.Logf("not run: %s: %s is not installed", b.At(), tool)
		return
	}
	d.n++
	script := "set -eo pipefail\n[ ! -f ~/.session ] || . ~/.session\n" + d.values.Replace(b.Text) +
		"\n{ export -p; echo cd \"'$PWD'\"; declare -p auth api 2>/dev/null || true; } >~/.session\n"
	cmd := exec.CommandContext(d.Context(), "bash", "-c", script)
	cmd.Dir, cmd.Env = d.dir, d.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		d.Fatalf("%s: %v\n%s", b.At(), err, out)
	}
	for _, shown := range b.Outputs {
		printed := maskedLines(string(out))
		for _, line := range maskedLines(d.values.Replace(shown.Text)) {
			at := slices.Index(printed, line)
			if at < 0 {
				d.Errorf("%s prints:\n%s\nwant the line %q, as in the document", b.At(), out, line)
				break
			}
			printed = printed[at+1:]
		}
	}
}

var (
	notInNames = regexp.MustCompile(`[^a-z0-9]+`)

	volatileHash   = regexp.MustCompile(`\b[a-z2-7]{32}\b`)
	volatileID     = regexp.MustCompile(`\b(dom|crt|job|tok|org|evt|whk)_[0-9a-z]{26}\b`)
	volatileTime   = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)
	volatileIssuer = regexp.MustCompile(`Intermediate CA [0-9a-f]{6}`)
)

// maskedLines returns the lines of a text without what differs from run to run.
func maskedLines(text string) []string {
	text = volatileHash.ReplaceAllString(text, "{hash}")
	text = volatileID.ReplaceAllString(text, "{id}")
	text = volatileTime.ReplaceAllString(text, "{time}")
	text = volatileIssuer.ReplaceAllString(text, "Intermediate CA {id}")
	var out []string
	for line := range strings.Lines(text) {
		if line = strings.Join(strings.Fields(line), " "); line != "" && line != "…" {
			out = append(out, line)
		}
	}
	return out
}

// stubAWS is the command aws as the guide of ACM uses it: it keeps the tag and the certificate of
// one import, and checks that each later one replaces it.
const stubAWS = `#!/bin/bash
set -e
case "$1 $2" in
"resourcegroupstaggingapi get-resources")
  if [ -f ~/imported ]; then cat ~/imported; else echo None; fi ;;
"acm import-certificate")
  shift 2
  case $1 in
  --tags)
    if [ -f ~/imported ]; then echo "another certificate is imported" >&2; exit 1; fi
    echo arn:aws:acm:stub >~/imported ;;
  --certificate-arn) [ "$2" = "$(cat ~/imported)" ] || exit 1 ;;
  *) exit 1 ;;
  esac
  for file; do
    case $file in fileb://*) grep -q BEGIN "${file#fileb://}" ;; esac
  done ;;
*) echo "aws: unknown command $*" >&2; exit 1 ;;
esac
`
