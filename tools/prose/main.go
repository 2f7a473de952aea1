// Command prose checks the language of the repository: comments, string literals, templates,
// and documents. It reports phrases that the style rules out, with the words to use instead,
// and lines of prose that are wider than 100 columns. `make lint` runs it.
//
// Identifiers, code spans, and code blocks are exempt. The file allowed.txt lists how often a
// file may still contain a phrase. A count that is too high fails, and so does one that is too
// low: the list only shrinks.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	counts := flag.Bool("counts", false,
		"print the number of phrases by directory instead of checking")
	list := flag.Bool("allow", false, "print the allow list that the repository needs now")
	flag.Parse()
	root := "."
	if flag.NArg() > 0 {
		root = flag.Arg(0)
	}
	findings, err := checkRepository(root)
	if err != nil {
		fmt.Fprintln(os.Stderr, "prose:", err)
		os.Exit(2)
	}
	switch {
	case *counts:
		printCounts(findings)
		return
	case *list:
		fmt.Print(allowance(findings))
		return
	}
	problems := compare(findings, parseAllowed(allowedText))
	for _, p := range problems {
		fmt.Println(p)
	}
	if len(problems) > 0 {
		os.Exit(1)
	}
}

// finding is one phrase, or one line that is too wide.
type finding struct {
	path string
	line int
	rule string // the rule's name
	text string // what was found
	use  string // what to write instead
}

func (f finding) String() string {
	return fmt.Sprintf("%s:%d: %q: %s (prose: %s)", f.path, f.line, f.text, f.use, f.rule)
}

// checkRepository checks every file that Git tracks below root, sorted by path.
func checkRepository(root string) ([]finding, error) {
	cmd := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("git ls-files: %w", err)
	}
	var findings []finding
	for name := range bytes.SplitSeq(bytes.TrimSuffix(out, []byte{0}), []byte{0}) {
		path := string(name)
		extract := extractorOf(path)
		if extract == nil {
			continue
		}
		source, err := os.ReadFile(filepath.Join(root, path))
		if os.IsNotExist(err) { // deleted and not yet committed
			continue
		}
		if err != nil {
			return nil, err
		}
		passages, err := extract(source)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		for _, p := range passages {
			findings = append(findings, p.check(path)...)
		}
	}
	slices.SortStableFunc(findings, func(a,
		b finding) int {
		return strings.Compare(a.path, b.path)
	})
	return findings, nil
}

func printCounts(findings []finding) {
	byDir := make(map[string]int)
	for _, f := range findings {
		if f.rule != ruleWidth {
			byDir[filepath.Dir(f.path)]++
			byDir["total"]++
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(byDir)) {
		fmt.Printf("%5d %s\n", byDir[dir], dir)
	}
}
