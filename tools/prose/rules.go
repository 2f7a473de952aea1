package main

import (
	"regexp"
	"strings"
)

// rule is a phrase that the style rules out.
type rule struct {
	name    string
	pattern *regexp.Regexp
	use     string
}

const ruleWidth = "width"

// maxWidth is the widest line of prose, in columns.
const maxWidth = 100

var rules = []rule{
	{"is-no", regexp.MustCompile(`(?i)\b(is|are|was|were) no [a-z]+`),
		`write "is not a …" or "there is no …"`},
	{"is-none", regexp.MustCompile(`(?i)\b(is|are) none\b`), `write "is not …" or "no …"`},
	{"anew", regexp.MustCompile(`(?i)\b(anew|afresh)\b`),
		`write "again", "from scratch", or a verb with re-`},
	{"whoever", regexp.MustCompile(`(?i)\bwh(o|at)ever\b`),
		`write "anyone who", "any", or name the subject`},
	{"mend", regexp.MustCompile(`(?i)\bmend(s|ed|ing)?\b`), `write "fix"`},
	{"by-itself", regexp.MustCompile(`(?i)\bby (itself|themselves)\b`),
		`write "automatically", "alone", or "separately"`},
	{"begin", regexp.MustCompile(`\b[Bb](egins?|egun|egan)\b`), `write "start"`},
	{"own", regexp.MustCompile(`(?i)\bof (its|their) own\b`),
		`write "its own …", "separate", or "dedicated"`},
	{"ours", regexp.MustCompile(`(?i)\bof (ours|theirs|somebody)\b`),
		`write "our …", "their …", or name the owner`},
	{"who-what",
		regexp.MustCompile(
			`(?:^|[.!?:;] )(Who|What) (is|are|was|were|has|have|had|does|do|can|cannot|may|must|will|would|should|[a-z]+(?:s|ed)|comes?|goes?)\b`), `start the sentence with its subject`},
}

// exempt are matches of "is no …" that are plain English.
var exempt = regexp.MustCompile(`(?i)\b(is|are|was|were) no (longer|more|one|less)\b`)

var codeSpan = regexp.MustCompile("``[^`]+``|`[^`]+`|<code>[^<]*</code>|<pre>[^<]*</pre>")

// passage is a run of prose: a comment, a string, or a paragraph.
type passage struct {
	line  int      // of its first line, from 1
	lines []string // without comment markers
	width []int    // columns of each line in the file; nil: not checked
	code  bool     // a line of code: only its width is checked
}

// check returns what the rules find in the passage.
func (p passage) check(path string) []finding {
	var findings []finding
	for i, w := range p.width {
		if w > maxWidth {
			findings = append(findings, finding{path, p.line + i, ruleWidth, ellipsis(p.lines[i]),
				"break the line at 100 columns"})
		}
	}
	if p.code {
		return findings
	}
	text := strings.Join(p.lines, " ")
	text = codeSpan.ReplaceAllStringFunc(text,
		func(s string) string { return strings.Repeat("`", len(s)) })
	for _, r := range rules {
		for _, at := range r.pattern.FindAllStringIndex(text, -1) {
			found := strings.TrimLeft(text[at[0]:at[1]], ".!?:; ")
			if exempt.MatchString(found) || r.name == "who-what" && isQuestion(text[at[1]:]) {
				continue
			}
			findings = append(findings, finding{path, p.line + p.lineAt(at[0]), r.name, found,
				r.use})
		}
	}
	return findings
}

// lineAt returns the index of the line that holds the offset of the joined text.
func (p passage) lineAt(offset int) int {
	for i, l := range p.lines {
		if offset -= len(l) + 1; offset < 0 {
			return i
		}
	}
	return max(len(p.lines)-1, 0)
}

// isQuestion reports whether the rest of a sentence ends with a question mark.
func isQuestion(rest string) bool {
	end := strings.IndexAny(rest, ".!?")
	return end >= 0 && rest[end] == '?'
}

func ellipsis(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}
