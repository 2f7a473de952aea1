// Package doctest reads the fenced code blocks of documents, for the tests that run them. A comment
// directly before a block, which readers do not see, says how the block is run:
//
//	<!-- not run: REASON -->    the block is not run
//	<!-- run: WORDS -->         options of the test that runs the document
//	<!-- given:                 code that the reader has already, in the
//	CODE                        language of the block
//	-->
//
// Blocks without a language that follow a block with one, under the same heading, are parts of the
// output of that block.
package doctest

import (
	"fmt"
	"regexp"
	"strings"
)

// Block is one fenced code block.
type Block struct {
	Document string // name of the document
	Line     int    // line of the opening fence
	Section  string // heading above the block
	Language string
	Text     string
	NotRun   string   // why the block is not run; empty if it is
	Options  []string // the words of run comments
	Given    string   // code that the reader has already
	Outputs  []*Block // blocks with parts of the output of this one
}

// At returns the block's place for messages.
func (b *Block) At() string { return fmt.Sprintf("%s:%d", b.Document, b.Line) }

// Has reports whether a run comment of the block has the word.
func (b *Block) Has(word string) bool {
	for _, o := range b.Options {
		if o == word {
			return true
		}
	}
	return false
}

// Option returns the value of the word name=value in a run comment, or "".
func (b *Block) Option(name string) string {
	for _, o := range b.Options {
		if value, ok := strings.CutPrefix(o, name+"="); ok {
			return value
		}
	}
	return ""
}

var (
	fence   = regexp.MustCompile("^( *)(```+)([a-z]*)$")
	comment = regexp.MustCompile(`(?s)^<!-- (not run|run|given): ?(.*?)\s*-->$`)
	heading = regexp.MustCompile(`^#+ (.*)$`)
)

// Parse returns the blocks of a document in their order. It returns an error for a fence that is
// not closed, and for a comment of this package that no block follows.
func Parse(document, text string) ([]*Block, error) {
	p := parser{document: document, lines: strings.Split(text, "\n"), next: &Block{}}
	for p.at = 0; p.at < len(p.lines); p.at++ {
		if err := p.line(); err != nil {
			return nil, err
		}
	}
	return p.blocks, p.unused()
}

type parser struct {
	document string
	lines    []string
	at       int // index of the current line
	section  string
	next     *Block // has the comments before the next block
	comments int    // line of the last comment before it, or 0
	last     *Block // last block with a language
	blocks   []*Block
}

func (p *parser) line() error {
	line := p.lines[p.at]
	if m := fence.FindStringSubmatch(line); m != nil {
		return p.block(m[1], m[2], m[3])
	}
	if strings.HasPrefix(line, "<!--") {
		return p.comment()
	}
	if strings.TrimSpace(line) == "" {
		return nil
	}
	if m := heading.FindStringSubmatch(line); m != nil {
		p.section = m[1]
	}
	return p.unused()
}

// unused returns an error if comments are not followed by a block.
func (p *parser) unused() error {
	if p.comments > 0 {
		return fmt.Errorf("%s:%d: no code block follows the comment", p.document, p.comments)
	}
	return nil
}

// comment reads a comment up to its end.
func (p *parser) comment() error {
	first := p.at
	for !strings.Contains(p.lines[p.at], "-->") {
		if p.at++; p.at == len(p.lines) {
			return fmt.Errorf("%s:%d: the comment has no end", p.document, first+1)
		}
	}
	m := comment.FindStringSubmatch(strings.Join(p.lines[first:p.at+1], "\n"))
	if m == nil {
		return nil // another comment
	}
	p.comments = first + 1
	switch m[1] {
	case "not run":
		p.next.NotRun = strings.Join(strings.Fields(m[2]), " ")
		if p.next.NotRun == "" {
			return fmt.Errorf("%s:%d: not run without a reason", p.document, first+1)
		}
	case "run":
		p.next.Options = append(p.next.Options, strings.Fields(m[2])...)
	case "given":
		p.next.Given += strings.TrimLeft(m[2], "\n") + "\n"
	}
	return nil
}

// block reads a block up to its closing fence.
func (p *parser) block(indent, ticks, language string) error {
	b := p.next
	b.Document, b.Line, b.Section, b.Language = p.document, p.at+1, p.section, language
	var text strings.Builder
	for p.at++; ; p.at++ {
		if p.at == len(p.lines) {
			return fmt.Errorf("%s: the block has no end", b.At())
		}
		line := strings.TrimPrefix(p.lines[p.at], indent)
		if line == ticks {
			break
		}
		text.WriteString(line + "\n")
	}
	b.Text = text.String()
	if language != "" {
		p.last = b
	} else if p.last != nil && p.last.Section == p.section && b.NotRun == "" {
		p.last.Outputs = append(p.last.Outputs, b)
	}
	p.blocks = append(p.blocks, b)
	p.next, p.comments = &Block{}, 0
	return nil
}
