package api

import (
	"cmp"
	_ "embed"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

//go:embed reference/reference.html
var referenceHTML string

var referenceTemplate = template.Must(template.New("reference").Parse(referenceHTML))

// referencePage is the data for reference/reference.html.
type referencePage struct {
	Version string
	About   template.HTML
	Groups  []referenceGroup
	Schemas []referenceSchema
}

// referenceGroup has the operations with one tag.
type referenceGroup struct {
	ID, Title  string
	About      template.HTML
	Operations []referenceOperation
}

// referenceOperation is an operation of the contract.
type referenceOperation struct {
	ID, Method, Path, Title string
	About                   template.HTML
	Access                  string // who can call it
	Params                  []referenceField
	Body                    []referenceContent
	Example                 string // a call with curl
	Responses               []referenceResponse
	Deprecated              bool
}

// referenceContent is a body in one media type.
type referenceContent struct {
	Media  string
	Type   []referenceType
	Fields []referenceField // of an object without a name
}

// referenceResponse is a response with one status.
type referenceResponse struct {
	Status  string
	About   template.HTML
	Content []referenceContent
}

// referenceSchema is a named object.
type referenceSchema struct {
	Name   string
	About  template.HTML
	Type   []referenceType
	Fields []referenceField
}

// referenceField is a parameter, or a field of an object. The name of a field in an inner object is
// its path.
type referenceField struct {
	Name, In string
	Required bool
	Type     []referenceType
	About    template.HTML
	Values   []string // the allowed ones; empty if they are not listed
}

// referenceType is a part of the text of a type. One with a link names a schema.
type referenceType struct{ Text, Link string }

// newReferencePage returns the page of the contract, in the order of its tags and paths.
func newReferencePage(doc *openapi3.T) referencePage {
	p := referencePage{Version: doc.Info.Version, About: richText(doc.Info.Description)}
	groups := map[string]*referenceGroup{}
	for _, tag := range doc.Tags {
		p.Groups = append(p.Groups, referenceGroup{ID: "tag-" + tag.Name,
			Title: tagTitle(tag.Name), About: richText(tag.Description)})
	}
	for i, tag := range doc.Tags {
		groups[tag.Name] = &p.Groups[i]
	}
	for _, path := range slices.Sorted(maps.Keys(doc.Paths.Map())) {
		item := doc.Paths.Value(path)
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut,
			http.MethodPatch, http.MethodDelete} {
			if o := item.GetOperation(method); o != nil {
				g := groups[o.Tags[0]]
				g.Operations = append(g.Operations, newReferenceOperation(path, method, o,
					slices.Concat(item.Parameters, o.Parameters)))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(doc.Components.Schemas)) {
		s := doc.Components.Schemas[name]
		schema := referenceSchema{Name: name, About: richText(s.Value.Description),
			Fields: fieldsOf(s.Value, "")}
		if len(schema.Fields) == 0 {
			schema.Type = typeOf(&openapi3.SchemaRef{Value: s.Value})
		}
		p.Schemas = append(p.Schemas, schema)
	}
	return p
}

func newReferenceOperation(
	path, method string, o *openapi3.Operation, params openapi3.Parameters,
) referenceOperation {
	r := referenceOperation{ID: o.OperationID, Method: method, Path: path, Title: o.Summary,
		About: richText(o.Description), Access: accessOf(o), Example: exampleCall(path, method, o),
		Deprecated: o.Deprecated}
	for _, ref := range params {
		v := ref.Value
		r.Params = append(r.Params, referenceField{Name: v.Name, In: v.In, Required: v.Required,
			Type:   typeOf(v.Schema),
			About:  richText(cmp.Or(v.Description, v.Schema.Value.Description)),
			Values: valuesOf(v.Schema.Value)})
	}
	if o.RequestBody != nil {
		r.Body = contentOf(o.RequestBody.Value.Content)
	}
	for _, status := range slices.Sorted(maps.Keys(o.Responses.Map())) {
		v := o.Responses.Value(status).Value
		response := referenceResponse{Status: status, Content: contentOf(v.Content)}
		if v.Description != nil {
			response.About = richText(*v.Description)
		}
		r.Responses = append(r.Responses, response)
	}
	return r
}

// accessOf states who can call an operation.
func accessOf(o *openapi3.Operation) string {
	scope, _ := o.Extensions["x-scope"].(string)
	switch {
	case o.Security != nil && len(*o.Security) == 0:
		return "Anyone, without a token"
	case o.Security != nil && onlySession(*o.Security):
		return "A signed-in user, not a token"
	}
	return "Scope " + scope
}

func contentOf(content openapi3.Content) []referenceContent {
	var all []referenceContent
	for _, media := range slices.Sorted(maps.Keys(content)) {
		c := referenceContent{Media: media}
		if s := content[media].Schema; s != nil {
			c.Type = typeOf(s)
			if s.Ref == "" {
				c.Fields = fieldsOf(s.Value, "")
			}
		}
		all = append(all, c)
	}
	return all
}

// typeOf returns the text of a type, in which named schemas are links.
func typeOf(ref *openapi3.SchemaRef) []referenceType {
	if ref.Ref != "" {
		name := ref.Ref[strings.LastIndexByte(ref.Ref, '/')+1:]
		return []referenceType{{Text: name, Link: "#schema-" + name}}
	}
	s := ref.Value
	var t []referenceType
	text := func(s string) { t = append(t, referenceType{Text: s}) }
	join := func(refs openapi3.SchemaRefs, word string) {
		for i, one := range refs {
			if i > 0 {
				text(word)
			}
			t = append(t, typeOf(one)...)
		}
	}
	switch {
	case len(s.AllOf) > 0:
		join(s.AllOf, " and ")
	case len(s.OneOf) > 0:
		join(s.OneOf, " or ")
	case s.Type.Is(openapi3.TypeArray):
		text("array of ")
		t = append(t, typeOf(s.Items)...)
	case s.Type.Is(openapi3.TypeObject) && s.AdditionalProperties.Schema != nil:
		text("map of ")
		t = append(t, typeOf(s.AdditionalProperties.Schema)...)
	case s.Type != nil && len(*s.Type) > 0:
		text(strings.Join(*s.Type, " or "))
	default:
		text("any")
	}
	if s.Format != "" {
		text(" (" + s.Format + ")")
	}
	if s.Nullable {
		text(" or null")
	}
	return t
}

// valuesOf returns the allowed values of a schema or of its items.
func valuesOf(s *openapi3.Schema) []string {
	if s.Type.Is(openapi3.TypeArray) && s.Items != nil && s.Items.Ref == "" {
		s = s.Items.Value
	}
	var all []string
	for _, v := range s.Enum {
		if text, ok := v.(string); ok {
			all = append(all, text)
		}
	}
	return all
}

// fieldsOf returns the fields of an object, sorted by name, with those of its inner objects that
// have no name.
func fieldsOf(s *openapi3.Schema, prefix string) []referenceField {
	var all []referenceField
	for _, part := range s.AllOf {
		all = append(all, fieldsOf(part.Value, prefix)...)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		ref := s.Properties[name]
		all = append(all, referenceField{Name: prefix + name, Type: typeOf(ref),
			Required: slices.Contains(s.Required, name), About: richText(ref.Value.Description),
			Values: valuesOf(ref.Value)})
		inner, path := ref, prefix+name+"."
		if ref.Ref == "" && ref.Value.Items != nil {
			inner, path = ref.Value.Items, prefix+name+"[]."
		}
		if inner.Ref == "" {
			all = append(all, fieldsOf(inner.Value, path)...)
		}
	}
	return all
}

// richText returns a text of the contract, which has paragraphs and code in backticks, as HTML.
func richText(text string) template.HTML {
	var b strings.Builder
	for paragraph := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		if paragraph == "" {
			continue
		}
		b.WriteString("<p>")
		for i, part := range strings.Split(paragraph, "`") {
			if part = template.HTMLEscapeString(part); i%2 == 1 {
				part = "<code>" + part + "</code>"
			}
			b.WriteString(part)
		}
		b.WriteString("</p>\n")
	}
	return template.HTML(b.String()) //nolint:gosec // escaped above
}

// tagTitle returns the heading of a tag: “DNS connections” for “dns-connections”.
func tagTitle(tag string) string {
	words := strings.ReplaceAll(tag, "-", " ")
	if rest, ok := strings.CutPrefix(words, "dns "); ok {
		return "DNS " + rest
	}
	return strings.ToUpper(words[:1]) + words[1:]
}
