package main

import (
	"go/scanner"
	"go/token"
	"path"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// extractorOf returns what finds the prose of a file, nil for a file without prose of ours.
func extractorOf(name string) func([]byte) ([]passage, error) {
	base := path.Base(name)
	switch {
	case strings.HasPrefix(name, "tools/prose/"),
		base == "LICENSE", strings.Contains(base, "LICENSE"):
		return nil
	case strings.HasSuffix(name, "_gen.go"), base == "go.sum", base == "go.mod":
		return nil
	case strings.HasPrefix(name, "docs/") && !strings.HasPrefix(name, "docs/design/"):
		return nil // generated from provider
	}
	switch path.Ext(name) {
	case ".go":
		return goPassages
	case ".md":
		return markdownPassages
	case ".tmpl":
		return markdownPassages
	case ".html", ".js", ".css", ".yaml", ".yml", ".sql", ".sh", ".tf", ".service", ".example",
		".dockerignore":
		return textPassages
	}
	switch base {
	case "GNUmakefile", "Dockerfile", "run", "zizmor.yml":
		return textPassages
	}
	return nil
}

// goPassages returns the comments and the string literals of a Go file, and its wide lines of code.
// Lines with a string literal may be wide.
func goPassages(source []byte) ([]passage, error) {
	set := token.NewFileSet()
	file := set.AddFile("", set.Base(), len(source))
	lines := strings.Split(string(source), "\n")
	var s scanner.Scanner
	s.Init(file, source, nil, scanner.ScanComments)
	var passages []passage
	exempt := make([]bool, len(lines)+1) // by line number
	for {
		pos, tok, lit := s.Scan()
		if tok == token.EOF {
			return append(passages, wideCode(lines, exempt)...), nil
		}
		line := file.Line(pos)
		if tok == token.STRING || tok == token.COMMENT {
			for i := range strings.Count(lit, "\n") + 1 {
				exempt[line+i] = true
			}
		}
		switch tok {
		case token.COMMENT:
			text, ok := strings.CutPrefix(lit, "//")
			if !ok {
				passages = append(passages,
					passage{line: line, lines: strings.Split(strings.Trim(lit, "/*"), "\n")})
				continue
			}
			if isDirective(text) {
				continue
			}
			whole := strings.HasPrefix(strings.TrimSpace(lines[line-1]), "//")
			w := 0
			if whole && strings.Contains(strings.TrimSpace(text), " ") &&
				!strings.Contains(text, "://") {
				w = columns(lines[line-1])
			}
			text = strings.TrimSpace(text)
			if n := len(passages) - 1; whole && n >= 0 && passages[n].width != nil &&
				passages[n].line+len(passages[n].lines) == line {
				passages[n].lines = append(passages[n].lines, text)
				passages[n].width = append(passages[n].width, w)
				continue
			}
			p := passage{line: line, lines: []string{text}}
			if whole {
				p.width = []int{w}
			}
			passages = append(passages, p)
		case token.STRING:
			if text, err := strconv.Unquote(lit); err == nil && strings.Contains(text, " ") {
				passages = append(passages, passage{line: line, lines: strings.Split(text, "\n")})
			}
		}
	}
}

// wideCode returns the lines of code that are too wide.
func wideCode(lines []string, exempt []bool) []passage {
	var passages []passage
	for i, l := range lines {
		if w := columns(l); w > maxWidth && !exempt[i+1] {
			passages = append(passages, passage{line: i + 1, lines: []string{strings.TrimSpace(l)},
				width: []int{w}, code: true})
		}
	}
	return passages
}

func isDirective(comment string) bool {
	return comment != "" && comment[0] != ' ' && comment[0] != '\t'
}

var (
	fence = regexp.MustCompile("^\\s*(```|~~~)")
	wide  = regexp.MustCompile(`^\s*\||\]\([^)]*\)|https?://|^\s*<|^#|^\{\{|^\s*\[[^\]]+\]:`)
)

// markdownPassages returns the paragraphs of a document without its code blocks. Tables,
// headings, and lines with links may be wide.
func markdownPassages(source []byte) ([]passage, error) {
	var passages []passage
	inCode, inFront, fresh := false, false, true
	for i, l := range strings.Split(string(source), "\n") {
		switch {
		case i == 0 && l == "---":
			inFront = true
			continue
		case inFront && l == "---":
			inFront = false
			continue
		case fence.MatchString(l):
			inCode, fresh = !inCode, true
			continue
		case inCode:
			continue
		case strings.TrimSpace(l) == "":
			fresh = true
			continue
		}
		w := 0
		if !inFront && !wide.MatchString(l) && strings.Contains(strings.TrimSpace(l), " ") {
			w = columns(l)
		}
		if n := len(passages) - 1; !fresh && !isItem(l) {
			passages[n].lines = append(passages[n].lines, l)
			passages[n].width = append(passages[n].width, w)
			continue
		}
		passages = append(passages, passage{line: i + 1,
			lines: []string{strings.TrimLeft(l, "#|*-> 0123456789.")}, width: []int{w}})
		fresh = strings.HasPrefix(l, "#")
	}
	return passages, nil
}

var item = regexp.MustCompile(`^\s*([-*|#>]|\d+\.) ?`)

func isItem(l string) bool { return item.MatchString(l) }

// textPassages takes every line of a file as prose: of templates, scripts, and configuration.
func textPassages(source []byte) ([]passage, error) {
	var passages []passage
	for i, l := range strings.Split(string(source), "\n") {
		if t := strings.TrimSpace(l); strings.Contains(t, " ") {
			passages = append(passages, passage{line: i + 1,
				lines: []string{strings.TrimLeft(t, "/#-* ")}})
		}
	}
	return passages, nil
}

// columns returns the width of a line, with tabs of 4.
func columns(l string) int {
	return utf8.RuneCountInString(strings.ReplaceAll(l, "\t", "    "))
}
