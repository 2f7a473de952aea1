package dashboard

import (
	"net/url"
	"strconv"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// chip is a link that applies a filter.
type chip struct {
	Label   string
	URL     string
	Count   string // empty: not shown
	Urgent  bool   // it has a color if Count is not 0
	Current bool
}

// countText returns a number of rows as text: exact up to most, and “10,000+” beyond.
func countText(n, most int) string {
	plus := ""
	if n > most {
		n, plus = most, "+"
	}
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text + plus
}

// pagesView has the URLs of other pages of a list. They may be empty.
type pagesView struct{ First, Previous, Next string }

// queryOf returns a query with the values that are not empty.
func queryOf(values map[string]string) url.Values {
	q := url.Values{}
	for name, value := range values {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q
}

// withQuery returns the URL of a path with a query, which may be empty.
func withQuery(path string, q url.Values) string {
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// invalidFilter returns the error for a filter that no page links to. The page is not shown, so
// that a mistyped filter does not show an unrelated list.
func invalidFilter(message string) error {
	return &controlplane.Error{Kind: controlplane.KindMalformed,
		Code: "filter-unknown", Message: message,
		Fix: "Remove the filters and start over."}
}
