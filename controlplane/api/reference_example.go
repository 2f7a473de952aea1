package api

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// exampleCall returns a call of an operation with curl. Its body has the required fields with the
// examples of the contract, or all fields that have one if none is required.
func exampleCall(path, method string, o *openapi3.Operation) string {
	lines := []string{`curl "$DCVAAS_ENDPOINT` + path + `"`}
	if method != http.MethodGet {
		lines[0] = `curl -X ` + method + ` "$DCVAAS_ENDPOINT` + path + `"`
	}
	if o.Security == nil || len(*o.Security) > 0 && !onlySession(*o.Security) {
		lines = append(lines, `-H "Authorization: Bearer $DCVAAS_API_TOKEN"`)
	}
	if o.RequestBody != nil {
		if media := o.RequestBody.Value.Content[mediaJSON]; media != nil {
			value := media.Example
			if value == nil {
				value = exampleOf(media.Schema.Value)
			}
			if body, err := json.Marshal(value); err == nil {
				lines = append(lines, `-H "Content-Type: application/json"`,
					`-d '`+strings.ReplaceAll(string(body), "'", `'\''`)+`'`)
			}
		}
	}
	return strings.Join(lines, " \\\n  ")
}

// exampleOf returns a value of a schema.
func exampleOf(s *openapi3.Schema) any {
	switch {
	case s.Example != nil:
		return s.Example
	case len(s.Enum) > 0:
		return s.Enum[0]
	case len(s.OneOf) > 0:
		return exampleOf(s.OneOf[0].Value)
	case s.Type.Is(openapi3.TypeArray):
		return []any{exampleOf(s.Items.Value)}
	case s.Type.Is(openapi3.TypeInteger), s.Type.Is(openapi3.TypeNumber):
		return 1
	case s.Type.Is(openapi3.TypeBoolean):
		return true
	case s.Type.Is(openapi3.TypeString):
		return "…"
	}
	object := map[string]any{}
	addExamples(object, s)
	return object
}

func addExamples(object map[string]any, s *openapi3.Schema) {
	for _, part := range s.AllOf {
		addExamples(object, part.Value)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[name].Value
		if slices.Contains(s.Required, name) || len(s.Required) == 0 && p.Example != nil {
			object[name] = exampleOf(p)
		}
	}
}
