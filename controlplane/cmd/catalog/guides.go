package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// contract is the description of the API.
const contract = "api/openapi.yaml"

// reasonList returns an entry for each reason of a domain or a job, and each cause of the doctor.
func reasonList() string {
	var b strings.Builder
	for _, section := range []struct {
		title string
		has   func(controlplane.Code) bool
	}{
		{"Reasons of a domain", func(c controlplane.Code) bool {
			return c.In&controlplane.InCondition != 0 && !controlplane.IsCause(c.Code)
		}},
		{"Causes of a DNS check", func(c controlplane.Code) bool {
			return controlplane.IsCause(c.Code)
		}},
		{"Reasons of a job", func(c controlplane.Code) bool {
			return c.In&controlplane.InJob != 0 && c.In&controlplane.InCondition == 0 &&
				!controlplane.IsCause(c.Code)
		}},
	} {
		fmt.Fprintf(&b, "## %s\n\n", section.title)
		for _, c := range controlplane.Codes() {
			if section.has(c) {
				fmt.Fprintf(&b, "### `%s`\n\n%s\n\n%s\n\nResponsible: %s.\n\n", c.Code,
					wrapped("**"+c.Title+".** "+escaped(c.Cause)), wrapped(escaped(c.Fix)),
					lowerFirst(c.Actor.String()))
			}
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// problemTable returns the codes of rejected requests.
func problemTable() string {
	var b strings.Builder
	b.WriteString("| code | meaning | fix |\n|---|---|---|\n")
	for _, c := range controlplane.Codes() {
		if c.In&controlplane.InProblem != 0 {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", c.Code, escaped(c.Cause), escaped(c.Fix))
		}
	}
	return b.String()
}

var (
	apiPath    = regexp.MustCompile(`^  (/\S+):$`)
	apiMethod  = regexp.MustCompile(`^    (get|post|put|patch|delete):$`)
	apiSummary = regexp.MustCompile(`^      summary: '?(.*?)'?$`)
	apiScope   = regexp.MustCompile(`^      x-scope: (\S+)$`)
)

// scopeTable returns the scope of each operation of the API.
func scopeTable() (string, error) {
	text, err := os.ReadFile(contract)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("| operation | scope | |\n|---|---|---|\n")
	path, method, summary := "", "", ""
	n := 0
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		switch {
		case apiPath.MatchString(line):
			path = apiPath.FindStringSubmatch(line)[1]
		case apiMethod.MatchString(line):
			method = strings.ToUpper(apiMethod.FindStringSubmatch(line)[1])
		case apiSummary.MatchString(line):
			summary = strings.ReplaceAll(apiSummary.FindStringSubmatch(line)[1], "''", "'")
		case apiScope.MatchString(line) && path != "":
			n++
			fmt.Fprintf(&b, "| `%s %s` | `%s` | %s |\n", method, path,
				apiScope.FindStringSubmatch(line)[1], summary)
		}
	}
	if n == 0 {
		return "", fmt.Errorf("%s has no operations with a scope", contract)
	}
	return b.String(), nil
}

// escaped returns a text of the catalog for Markdown.
func escaped(s string) string {
	return strings.NewReplacer("|", "\\|", "*", "\\*", "<", "&lt;").Replace(s)
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }

// wrapped breaks a paragraph into lines of at most 100 columns.
func wrapped(s string) string {
	var b strings.Builder
	column := 0
	for _, word := range strings.Fields(s) {
		n := utf8.RuneCountInString(word)
		switch {
		case column > 0 && column+1+n > 100:
			b.WriteString("\n")
			column = 0
		case column > 0:
			b.WriteString(" ")
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String()
}
