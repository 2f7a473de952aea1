// Package axetest has axe-core, with which browser tests check the accessibility of pages. Only
// tests import it.
package axetest

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
)

//go:embed axe-4.14.1.min.js.gz
var compressed []byte

// Script returns the script that defines axe on a page.
func Script() (string, error) {
	in, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return "", fmt.Errorf("axetest: %w", err)
	}
	script, err := io.ReadAll(in)
	if err != nil {
		return "", fmt.Errorf("axetest: %w", err)
	}
	return string(script), nil
}

// Findings is an expression whose promise resolves to the findings on the page: one line for each
// element, empty without findings. It applies the rules of WCAG 2.2 AA and of best practice.
const Findings = `axe.run(document, {
  runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"],
  resultTypes: ["violations"],
}).then((r) => r.violations.flatMap((v) => v.nodes.map((n) =>
  v.id + ": " + n.target.flat().join(" ") + ": " + n.failureSummary.replace(/\s+/g, " "))).join("\n"))`
