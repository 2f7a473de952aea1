package dashboard

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

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
