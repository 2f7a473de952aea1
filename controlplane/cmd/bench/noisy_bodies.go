package main

import (
	"fmt"
	"net/http"
	"strings"
)

const bodyLimit = 1 << 20 // the API's limit

// wrongBodies sends bodies of 1 MiB with thousands of invalid parts, and unauthenticated requests
// with thousands of parameters, eight at a time.
func (n *noise) wrongBodies() error {
	bulk, json, csv := "/api/domains/bulk", "application/json", "text/csv"
	all := []request{
		{method: http.MethodPost, path: "/api/domains", media: json,
			body: filled(bodyLimit, `{"name":"a.example.org"`,
				func(i int) string { return fmt.Sprintf(`,"unknown%d":1`, i) }, `}`)},
		{method: http.MethodPost, path: "/api/tokens", media: json,
			body: filled(bodyLimit, `{"name":"a","scopes":[1`, func(int) string { return `,1` },
				`]}`)},
		{method: http.MethodPost, path: bulk, media: csv,
			body: filled(bodyLimit, "name,key_type\n",
				func(i int) string { return fmt.Sprintf("-%d-,rsa1\n", i) }, "")},
		{method: http.MethodPost, path: bulk, media: json,
			body: filled(bodyLimit, `{"domains":[{}`,
				func(i int) string { return fmt.Sprintf(`,{"name":%d,"wrong":[]}`, i) }, `]}`)},
		{method: http.MethodPost, path: "/api/domains", media: json,
			body: filled(bodyLimit, `{"name":"a.example.org","labels":{"a":1`,
				func(i int) string { return fmt.Sprintf(`,"%d-":1`, i) }, `}}`)},
	}
	for i := range all {
		all[i].token = n.tokens[0]
	}
	n.repeat(8, func(i int) int { return n.do(all[i%len(all)]) })
	parameters := string(filled(55_000, "/livez?",
		func(i int) string { return fmt.Sprintf("a%d&", i) }, "a"))
	n.repeat(2, func(i int) int {
		return n.do(request{method: http.MethodGet,
			path: strings.Replace(parameters, "a0&", fmt.Sprintf("b%d&", i), 1), from: n.others[0]})
	})
	return nil
}
