package api

import (
	"maps"
	"slices"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// Everything in the contract has a description and a valid example, because clients are built on
// it.
func TestContractIsDescribed(t *testing.T) {
	t.Parallel()
	doc, err := contract()
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil {
		t.Error(err)
	}
	for name, s := range doc.Components.Schemas {
		if s.Value.Description == "" {
			t.Errorf("schema %s is not described", name)
		}
		for _, part := range append(openapi3.SchemaRefs{s}, s.Value.AllOf...) {
			if part.Ref != "" && part != s {
				continue
			}
			for field, p := range part.Value.Properties {
				if p.Ref != "" {
					continue
				}
				if p.Value.Description == "" {
					t.Errorf("%s.%s is not described", name, field)
				}
				if wantsExample(p.Value) {
					t.Errorf("%s.%s has no example", name, field)
				}
			}
		}
	}
	for path, item := range doc.Paths.Map() {
		for method, o := range item.Operations() {
			if o.Summary == "" || len(o.Tags) == 0 {
				t.Errorf("%s %s has no summary or no tag", method, path)
			}
			for _, p := range o.Parameters {
				if p.Ref == "" && p.Value.Description == "" && p.Value.Schema.Ref == "" {
					t.Errorf("%s %s: the parameter %s is not described", method, path, p.Value.Name)
				}
			}
			for _, status := range slices.Sorted(maps.Keys(o.Responses.Map())) {
				if r := o.Responses.Value(status).Value; r.Description == nil ||
					*r.Description == "" {
					t.Errorf("%s %s: %s is not described", method, path, status)
				}
			}
		}
	}
}

func wantsExample(s *openapi3.Schema) bool {
	return s.Example == nil && len(s.Enum) == 0 &&
		(s.Type.Is(openapi3.TypeString) || s.Type.Is(openapi3.TypeInteger) ||
			s.Type.Is(openapi3.TypeNumber))
}
