package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"

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

// scopeTable returns the scope of each operation of the API.
func scopeTable() (string, error) {
	doc, err := openapi3.NewLoader().LoadFromFile(contract)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("| operation | scope | |\n|---|---|---|\n")
	paths := doc.Paths.Map()
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		operations := paths[path].Operations()
		for _, method := range slices.Sorted(maps.Keys(operations)) {
			op := operations[method]
			if scope, ok := op.Extensions["x-scope"].(string); ok {
				fmt.Fprintf(&b, "| `%s %s` | `%s` | %s |\n", method, path, scope, op.Summary)
			}
		}
	}
	return b.String(), nil
}

// escaped returns a text of the catalog for Markdown.
func escaped(s string) string {
	return strings.NewReplacer("|", "\\|", "*", "\\*", "<", "&lt;").Replace(s)
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }

// wrapped breaks a paragraph into lines of at most 100 columns.
func wrapped(s string) string { return indented("", s) }

// indented returns a list item: the marker and the text, in lines of at most 100 columns that are
// indented like the text. It does not break code spans.
func indented(marker, text string) string {
	var b strings.Builder
	b.WriteString(marker)
	indent := utf8.RuneCountInString(marker)
	column := indent
	for _, word := range words(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case column > indent && column+1+n > 100:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			column = indent
		case column > indent:
			b.WriteString(" ")
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String()
}

// words returns the words of a text in Markdown. A code span belongs to one word.
func words(text string) []string {
	var all []string
	open := false
	for _, field := range strings.Fields(text) {
		if open {
			all[len(all)-1] += " " + field
		} else {
			all = append(all, field)
		}
		if strings.Count(field, "`")%2 == 1 {
			open = !open
		}
	}
	return all
}

func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
