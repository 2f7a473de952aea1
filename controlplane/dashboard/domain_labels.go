package dashboard

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// labelsInRow is the number of labels that a row of the list shows.
const labelsInRow = 3

// labelLines returns labels as text: a line "key=value" for each, sorted.
func labelLines(labels map[string]string) string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		out = append(out, key+"="+labels[key])
	}
	return strings.Join(out, "\n")
}

// parseLabels returns the labels in a text, or a message about the first line that has none. It
// does not check what keys and values may contain.
func parseLabels(text string) (labels map[string]string, wrong string) {
	labels = map[string]string{}
	for _, line := range lines(text) {
		key, value, ok := strings.Cut(line, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if !ok || key == "" {
			return nil, fmt.Sprintf(
				"“%s” is not a label. Enter one label per line, such as team=web.", shortened(line))
		}
		if _, twice := labels[key]; twice {
			return nil, fmt.Sprintf("The label “%s” is there twice. Remove one of the lines.",
				shortened(key))
		}
		labels[key] = value
	}
	return labels, ""
}

// shortened returns the start of a text that a user entered.
func shortened(text string) string {
	const most = 40
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}

// isLabelFilter reports whether a text filters by labels: "key=value", or "key".
func isLabelFilter(text string) bool {
	key, value, _ := strings.Cut(text, "=")
	return rules.CheckLabelKey(key) == nil && rules.CheckLabelValue(value) == nil
}

// withLabel returns the link that removes the label's filter from the list, nil without a filter.
func (l domainList) withLabel() *chip {
	if l.Label == "" {
		return nil
	}
	to := l
	to.Label = ""
	return &chip{Label: l.Label, URL: to.url(""), Current: true}
}

// labelChips returns links that filter the list by the labels of a domain. A row has a few of them.
func (l domainList) labelChips(labels map[string]string) []chip {
	var out []chip
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		to := l
		if to.Label = key + "=" + labels[key]; len(out) < labelsInRow {
			out = append(out, chip{Label: to.Label, URL: to.url(""), Current: to.Label == l.Label})
		}
	}
	return out
}
