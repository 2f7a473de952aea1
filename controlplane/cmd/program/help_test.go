package program

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// helpOf returns what the command prints with --help.
func helpOf(t *testing.T, command string) string {
	t.Helper()
	var out bytes.Buffer
	if code := Main("test", append(strings.Fields(command), "--help"), &out, &out); code != 0 {
		t.Fatalf("%s --help = status %d: %s", command, code, out.String())
	}
	return out.String()
}

// The help of a command shows the settings that it uses, and not those of other commands.
func TestHelpShowsOwnFlags(t *testing.T) {
	t.Parallel()
	for command, c := range map[string]struct{ shows, hides string }{
		"serve": {"listen cors-origins public-url keyset github-client-id ops-listen dns-servers",
			"concurrency dns-listen acme-email"},
		"work": {"concurrency dns-servers cas keyset ops-listen",
			"listen cors-origins public-url dns-listen"},
		"dns":                    {"dns-listen name-servers ops-listen zone", "keyset cas listen lease"},
		"all":                    {"listen concurrency dns-listen cas", ""},
		"admin create-org":       {"tier database-url secret-key zone", "keyset listen cas redis-url"},
		"admin invite":           {"org public-url database-url", "keyset listen cas"},
		"admin list-orgs":        {"database-url", "secret-key zone listen"},
		"admin ca list":          {"database-url cas", "secret-key listen keyset"},
		"admin new-keyset":       {"out", "database-url"},
		"admin rotate-keyset":    {"keyset in-place prepare reseal remove database-url", "redis-url"},
		"admin roll-account-key": {"ca keyset cas acme-email database-url", "listen zone redis-url"},
		"migrate":                {"database-url", "keyset"},
	} {
		help := helpOf(t, command)
		has := func(flag string) bool {
			return regexp.MustCompile(`--(\[no-\])?` + flag + `\b[^-]`).MatchString(help)
		}
		for _, flag := range strings.Fields(c.shows) {
			if !has(flag) {
				t.Errorf("%s --help does not show --%s:\n%s", command, flag, help)
			}
		}
		for _, flag := range strings.Fields(c.hides) {
			if has(flag) {
				t.Errorf("%s --help shows --%s, which it does not use", command, flag)
			}
		}
	}
}

// Every setting belongs to a command, and the guide's tables name the same processes.
func TestSettingsNameTheirCommands(t *testing.T) {
	t.Parallel()
	parser, err := kong.New(&cli{}, kong.Name("dcvaas"))
	if err != nil {
		t.Fatal(err)
	}
	var known []string
	for _, words := range commandUses {
		known = append(known, words...)
	}
	guide := readText(t, selfHosting)
	for _, leaf := range parser.Model.Leaves(false) {
		if leaf.FullPath() != "dcvaas all" {
			continue
		}
		for _, flag := range leaf.Flags {
			words := strings.Fields(flag.Tag.Get("for"))
			for _, word := range words {
				if !slices.Contains(known, word) {
					t.Errorf("--%s is for %s, which no command uses", flag.Name, word)
				}
			}
			if len(flag.Envs) == 0 {
				continue
			}
			row := regexp.MustCompile("(?m)^\\| [^|]*`" + flag.Envs[0] +
				"`[^|]*\\| ([^|]*) \\|").FindStringSubmatch(guide)
			if row == nil {
				continue // described in the text
			}
			for _, part := range []string{"serve", "work", "dns"} {
				uses := len(words) == 0 || slices.Contains(words, part)
				names := row[1] == "all" || strings.Contains(row[1], part)
				if uses != names {
					t.Errorf("%s: the guide says %q, and the tag %q", flag.Envs[0], row[1], words)
				}
			}
		}
	}
}
