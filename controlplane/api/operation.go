package api

import (
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

// operation describes one method of one path of the contract. It is the only table of scopes,
// parameters, and bodies.
type operation struct {
	id      string
	method  string
	path    string // template
	secured bool
	session bool               // only for signed-in users: tokens are not accepted
	scope   controlplane.Scope // "" if session is true
	query   map[string]parameter
	headers map[string]parameter // by canonical name
	body    *openapi3.Schema     // nil without a body
	csv     bool                 // the body can be CSV, whose lines are the entries of each
	each    string               // list whose entries are validated separately (x-each)
	waits   bool
	streams bool // the response can be an event stream
	once    bool // accepts an Idempotency-Key
	self    bool // signed-in users need no scope for themselves (x-self)
	rereads bool // responses are not stored but read and audited again (x-rereads)
	dryRun  bool // accepts dry_run

	checks *controlplane.Gate // for checks of large requests, shared by all operations

	deprecated *deprecation // nil if not deprecated
	deprecates bool         // the operation or one of its parameters is deprecated
}

type parameter struct {
	name     string // spelling of the contract
	required bool
	integer  bool
	boolean  bool
	list     bool             // it can be repeated
	schema   *openapi3.Schema // of each value
	maxItems uint64           // of a list

	deprecated *deprecation // nil if not deprecated
}

// readContract returns the contract's operations by "METHOD /path", and the contract as JSON. It
// returns an error for an incomplete operation, such as one that accepts tokens and has no scope.
func readContract() (map[string]*operation, []byte, error) {
	c, err := parsedContract()
	if err != nil {
		return nil, nil, err
	}
	table, err := readOperations(c.doc)
	return table, c.raw, err
}

// parsed is the contract in the forms that the program uses. It does not change.
type parsed struct {
	doc *openapi3.T
	raw []byte // JSON
}

// parsedContract parses the contract once.
var parsedContract = sync.OnceValues(func() (parsed, error) {
	doc, err := GetSpec()
	if err != nil {
		return parsed{}, err
	}
	for _, item := range doc.Paths.Map() {
		for _, o := range item.Operations() {
			// the generator capitalizes it
			o.OperationID = strings.ToLower(o.OperationID[:1]) + o.OperationID[1:]
		}
	}
	raw, err := doc.MarshalJSON()
	return parsed{doc, raw}, err
})

func readOperations(doc *openapi3.T) (map[string]*operation, error) {
	table := make(map[string]*operation)
	checks := newCheckGate(runtime.GOMAXPROCS(0))
	for path, item := range doc.Paths.Map() {
		for method, o := range item.Operations() {
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

func readOperation(
	path, method string, o *openapi3.Operation, params openapi3.Parameters,
) (*operation, error) {
	op := &operation{
		id: o.OperationID, method: method, path: path, secured: o.Security == nil ||
			len(*o.Security) > 0,
		query: make(map[string]parameter), headers: make(map[string]parameter),
	}
	op.session = op.secured && o.Security != nil && onlySession(*o.Security)
	if op.secured && !op.session {
		scope, _ := o.Extensions["x-scope"].(string)
		op.scope = controlplane.Scope(scope)
		if !slices.Contains(controlplane.Scopes(), op.scope) {
			return nil, fmt.Errorf("invalid x-scope %q", scope)
		}
	}
	var err error
	if op.deprecated, err = readDeprecation(o.Deprecated, o.Extensions); err != nil {
		return nil, err
	}
	op.deprecates = op.deprecated != nil
	for _, ref := range params {
		p := parameter{name: ref.Value.Name, required: ref.Value.Required,
			schema: ref.Value.Schema.Value}
		if p.list = p.schema.Type.Is(openapi3.TypeArray); p.list {
			if err := checkBounds(p.schema, "/"+p.name); err != nil {
				return nil, err
			}
			p.maxItems, p.schema = *p.schema.MaxItems, p.schema.Items.Value
		}
		if p.deprecated, err = readDeprecation(ref.Value.Deprecated,
			ref.Value.Extensions); err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		op.deprecates = op.deprecates || p.deprecated != nil
		p.integer = p.schema.Type.Is(openapi3.TypeInteger)
		p.boolean = p.schema.Type.Is(openapi3.TypeBoolean)
		switch ref.Value.In {
		case openapi3.ParameterInQuery:
			op.query[p.name] = p
		case openapi3.ParameterInHeader:
			op.headers[http.CanonicalHeaderKey(p.name)] = p
		}
	}
	_, op.waits = op.query["wait"]
	_, op.once = op.headers[headerIdempotencyKey]
	_, op.dryRun = op.query[paramDryRun]
	ok := o.Responses.Status(http.StatusOK)
	op.streams = ok != nil && ok.Value.Content[edge.MediaEvents] != nil
	op.self, _ = o.Extensions["x-self"].(bool)
	op.rereads, _ = o.Extensions["x-rereads"].(bool)
	if o.RequestBody != nil {
		media := o.RequestBody.Value.Content[mediaJSON]
		if media == nil {
			return nil, fmt.Errorf("missing application/json body")
		}
		op.body = media.Schema.Value
		if err := checkBounds(op.body, ""); err != nil {
			return nil, err
		}
		op.each, _ = o.Extensions["x-each"].(string)
		op.csv = o.RequestBody.Value.Content[mediaCSV] != nil
		if (op.csv || op.each != "") && op.entry() == nil {
			return nil, fmt.Errorf("invalid x-each %q: must be a list in the body", op.each)
		}
	}
	return op, nil
}

// onlySession reports whether the contract accepts only sessions.
func onlySession(list openapi3.SecurityRequirements) bool {
	for _, needs := range list {
		if _, ok := needs["session"]; !ok {
			return false
		}
	}
	return true
}

// entry returns the schema of the entries of each, nil if each is not a list.
func (op *operation) entry() *openapi3.Schema {
	list := op.body.Properties[op.each]
	if list == nil || list.Value.Items == nil {
		return nil
	}
	return list.Value.Items.Value
}

// names returns a human-readable list of parameters or fields.
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
