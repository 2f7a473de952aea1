package provider

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	guideLink = regexp.MustCompile(`\]\(([^)\s]*)\)`)
	headingOf = regexp.MustCompile("(?m)^#+ (.*)$")
	anchorID  = regexp.MustCompile(`<a id="([^"]+)">`)
	notAnchor = regexp.MustCompile(`[^a-z0-9 _-]`)
)

// anchors returns the anchors of a document.
func anchors(text string) map[string]bool {
	all := map[string]bool{}
	for _, m := range headingOf.FindAllStringSubmatch(text, -1) {
		name := notAnchor.ReplaceAllString(strings.ToLower(m[1]), "")
		all[strings.ReplaceAll(name, " ", "-")] = true
	}
	for _, m := range anchorID.FindAllStringSubmatch(text, -1) {
		all[m[1]] = true
	}
	return all
}

// Every link of the pages leads to a page and a heading. Every guide says what its reader has at
// its end, links the next guide, and is in the index.
func TestGuidesAreLinked(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../docs/guides/*.md")
	if err != nil || len(pages) < 10 {
		t.Fatalf("Glob(docs/guides) = %d pages, %v, want at least 10", len(pages), err)
	}
	index := readFile(&acc{T: t}, "../docs/index.md")
	resources, err := filepath.Glob("../docs/resources/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range slices.Concat(pages, resources, []string{"../docs/index.md",
		"../README.md", "../SECURITY.md"}) {
		text := readFile(&acc{T: t}, page)
		for _, m := range guideLink.FindAllStringSubmatch(text, -1) {
			file, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(file, ":") {
				continue
			}
			target := page
			if file != "" {
				target = filepath.Join(filepath.Dir(page), file)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s, which does not exist", page, m[1])
			} else if anchor != "" && !anchors(readFile(&acc{T: t}, target))[anchor] {
				t.Errorf("%s links to %s, which has no such heading", page, m[1])
			}
		}
		if !strings.Contains(page, "/guides/") {
			continue
		}
		name := filepath.Base(page)
		if !strings.Contains(index, "(guides/"+name+")") {
			t.Errorf("docs/index.md does not link guides/%s", name)
		}
		if !strings.Contains(text, "At the end of this guide, ") {
			t.Errorf("guides/%s does not say what its reader has at its end", name)
		}
		if _, next, ok := strings.Cut(text, "\nNext: "); !ok || !guideLink.MatchString(next) {
			t.Errorf("guides/%s links no next guide", name)
		}
	}
}
