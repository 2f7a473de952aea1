package api

import (
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

// operation is what the contract says of one method of one path: the one table of scopes,
// parameters and bodies.
type operation struct {
	id      string
	method  string
	path    string // template
	secured bool
	session bool               // only for people who are signed in: it takes no token
	scope   controlplane.Scope // "" where session is true
	query   map[string]parameter
	headers map[string]parameter // by canonical name
	body    *openapi3.Schema     // nil where none is taken
	csv     bool                 // the body may be CSV, whose lines are the entries of each
	each    string               // list whose entries are held to the contract by themselves (x-each)
	waits   bool
	streams bool // its answer may be a stream of events
	once    bool // takes an Idempotency-Key
	self    bool // needs no scope of somebody signed in where it is about themselves (x-self)
	rereads bool // its answer is read anew, and recorded anew, rather than kept (x-rereads)

	checks *controlplane.Gate // of large requests that are checked, shared by all operations

	deprecated *deprecation // nil where it is not
	deprecates bool         // it, or one of its parameters, is deprecated
}

type parameter struct {
	name     string // as the contract spells it
	required bool
	integer  bool
	schema   *openapi3.Schema

	deprecated *deprecation // nil where it is not
}

// readContract returns the contract's operations by "METHOD /path", and the contract itself
// as JSON. Its error says which operation is incomplete: one that takes a token must say
// which scope.
func readContract() (map[string]*operation, []byte, error) {
	doc, err := GetSpec()
	if err != nil {
		return nil, nil, err
	}
	table, err := readOperations(doc)
	if err != nil {
		return nil, nil, err
	}
	raw, err := doc.MarshalJSON()
	return table, raw, err
}

func readOperations(doc *openapi3.T) (map[string]*operation, error) {
	table := make(map[string]*operation)
	checks := newCheckGate(runtime.GOMAXPROCS(0))
	for path, item := range doc.Paths.Map() {
		for method, o := range item.Operations() {
			o.OperationID = strings.ToLower(o.OperationID[:1]) + o.OperationID[1:] // the generator has made it a Go name
			op, err := readOperation(path, method, o, slices.Concat(item.Parameters, o.Parameters))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", o.OperationID, err)
			}
			op.checks = checks
			table[method+" "+path] = op
		}
	}
	return table, nil
}

func readOperation(path, method string, o *openapi3.Operation, params openapi3.Parameters) (*operation, error) {
	op := &operation{
		id: o.OperationID, method: method, path: path, secured: o.Security == nil || len(*o.Security) > 0,
		query: make(map[string]parameter), headers: make(map[string]parameter),
	}
	op.session = op.secured && o.Security != nil && onlySession(*o.Security)
	if op.secured && !op.session {
		scope, _ := o.Extensions["x-scope"].(string)
		op.scope = controlplane.Scope(scope)
		if !slices.Contains(controlplane.Scopes(), op.scope) {
			return nil, fmt.Errorf("x-scope is %q, which is no scope", scope)
		}
	}
	var err error
	if op.deprecated, err = readDeprecation(o.Deprecated, o.Extensions); err != nil {
		return nil, err
	}
	op.deprecates = op.deprecated != nil
	for _, ref := range params {
		p := parameter{name: ref.Value.Name, required: ref.Value.Required, schema: ref.Value.Schema.Value}
		if p.deprecated, err = readDeprecation(ref.Value.Deprecated, ref.Value.Extensions); err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		op.deprecates = op.deprecates || p.deprecated != nil
		p.integer = p.schema.Type.Is(openapi3.TypeInteger)
		switch ref.Value.In {
		case openapi3.ParameterInQuery:
			op.query[p.name] = p
		case openapi3.ParameterInHeader:
			op.headers[http.CanonicalHeaderKey(p.name)] = p
		}
	}
	_, op.waits = op.query["wait"]
	_, op.once = op.headers[headerIdempotencyKey]
	ok := o.Responses.Status(http.StatusOK)
	op.streams = ok != nil && ok.Value.Content[edge.MediaEvents] != nil
	op.self, _ = o.Extensions["x-self"].(bool)
	op.rereads, _ = o.Extensions["x-rereads"].(bool)
	if o.RequestBody != nil {
		media := o.RequestBody.Value.Content[mediaJSON]
		if media == nil {
			return nil, fmt.Errorf("its body is not application/json")
		}
		op.body = media.Schema.Value
		if err := checkBounds(op.body, ""); err != nil {
			return nil, err
		}
		op.each, _ = o.Extensions["x-each"].(string)
		op.csv = o.RequestBody.Value.Content[mediaCSV] != nil
		if (op.csv || op.each != "") && op.entry() == nil {
			return nil, fmt.Errorf("x-each is %q, which is no list in its body", op.each)
		}
	}
	return op, nil
}

// onlySession reports whether the contract takes a session alone.
func onlySession(list openapi3.SecurityRequirements) bool {
	for _, needs := range list {
		if _, ok := needs["session"]; !ok {
			return false
		}
	}
	return true
}

// entry returns the schema of the entries of each, nil where there are none.
func (op *operation) entry() *openapi3.Schema {
	list := op.body.Properties[op.each]
	if list == nil || list.Value.Items == nil {
		return nil
	}
	return list.Value.Items.Value
}

// names returns the names of parameters or fields as a list for people.
func names[T any](m map[string]T) string {
	if len(m) == 0 {
		return "none"
	}
	list := make([]string, 0, len(m))
	for name := range m {
		list = append(list, name)
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}
