package api

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// checkEvery is the number of names and items between two checks whether the client is still
// connected.
const checkEvery = 256

// checkValue validates a decoded body. It returns the errors of single entries of op.each, by
// entry, and an error about the rest. It may change value: an entry with an error keeps only its
// name, and a value with an error is not used again.
//
// kin-openapi creates an error of several hundred bytes for each unknown name and each invalid
// item, however many there are. So everything beyond the contract's limits is counted and removed
// first; the library gets a value with a limited size (checkBounds).
func (op *operation) checkValue(
	ctx context.Context, value map[string]any,
) (refused map[int]*faults, err error) {
	c := &bodyCheck{ctx: ctx, op: op, value: value, cut: make(map[string]bool)}
	if op.each != "" {
		c.refused = make(map[int]*faults)
	}
	c.trim(op.body, value, nil)
	if c.err != nil {
		return nil, c.err
	}
	for i, e := range schemaErrors(op.body.VisitJSON(value, visitOptions...)) {
		if i%checkEvery == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		path := e.JSONPointer()
		if at := pointer(path...); !c.cut[at] {
			code, detail := describe(e)
			c.add(path, controlplane.FieldError{Pointer: at, Code: code, Detail: detail})
		}
	}
	c.setAside()
	return c.refused, c.wrong.err(op)
}

// bodyCheck is one check of a body.
type bodyCheck struct {
	ctx     context.Context
	op      *operation
	value   map[string]any
	wrong   faults
	refused map[int]*faults // by entry of op.each; nil without it
	cut     map[string]bool // pointers of lists and maps that exceeded their limit and were emptied
	seen    int
	err     error // the context's; set once the check has stopped
}

// trim removes fields from value that the contract does not define, and empties lists and maps that
// are longer than the contract allows. It adds an error for each, and returns the value.
func (c *bodyCheck) trim(s *openapi3.Schema, value any, path []string) any {
	if c.gone() {
		return value
	}
	switch v := value.(type) {
	case map[string]any:
		if !s.Type.Is(openapi3.TypeObject) {
			return value // the library rejects it without looking inside
		}
		if s.MaxProps != nil && uint64(len(v)) > *s.MaxProps {
			c.tooMany(path, *s.MaxProps)
			return map[string]any{}
		}
		for name, item := range v {
			if c.gone() {
				break
			}
			at := append(slices.Clip(path), name)
			switch field := s.Properties[name]; {
			case field != nil:
				v[name] = c.trim(field.Value, item, at)
			case s.AdditionalProperties.Schema != nil:
				v[name] = c.trim(s.AdditionalProperties.Schema.Value, item, at)
			default:
				c.add(at, controlplane.FieldError{Pointer: pointer(at...), Code: codeUnknownField,
					Detail: "Unknown field."})
				delete(v, name)
			}
		}
	case []any:
		if !s.Type.Is(openapi3.TypeArray) {
			return value
		}
		if uint64(len(v)) > *s.MaxItems {
			c.tooMany(path, *s.MaxItems)
			return []any{}
		}
		for i, item := range v {
			v[i] = c.trim(s.Items.Value, item, append(slices.Clip(path), strconv.Itoa(i)))
		}
	case json.Number:
		if s.Type.Is(openapi3.TypeInteger) {
			return c.integer(s, v, path)
		}
	}
	return value
}

// integer returns a number as the binding reads integers: 3600.0 and 3.6e3 are 3600, because JSON
// does not distinguish them (RFC 8259 §6). It adds an error for a number without a value.
func (c *bodyCheck) integer(s *openapi3.Schema, n json.Number, path []string) json.Number {
	f, err := n.Float64()
	switch {
	case err != nil:
		at := pointer(path...)
		c.cut[at] = true
		c.add(path, controlplane.FieldError{Pointer: at, Code: "out-of-range",
			Detail: describeBounds(s)})
		return "0"
	case f == math.Trunc(f) && math.Abs(f) < 1<<53:
		return json.Number(plainNumber(f))
	}
	return n
}

// gone reports whether the check has stopped because the client disconnected or the time is up.
func (c *bodyCheck) gone() bool {
	if c.seen++; c.err == nil && c.seen%checkEvery == 1 {
		c.err = c.ctx.Err()
	}
	return c.err != nil
}

func (c *bodyCheck) tooMany(path []string, limit uint64) {
	at := pointer(path...)
	c.cut[at] = true
	code, detail := ruled(rules.TooMany(limit))
	c.add(path, controlplane.FieldError{Pointer: at, Code: code, Detail: detail})
}

// add counts an error. If it is in an entry of op.each, and the rest of the request can still be
// accepted, it is counted with that entry, with a pointer relative to the entry.
func (c *bodyCheck) add(path []string, e controlplane.FieldError) {
	if c.refused == nil || len(path) < 3 || path[0] != c.op.each || isMalformed(e.Code) {
		c.wrong.add(e)
		return
	}
	i, _ := strconv.Atoi(path[1])
	if c.refused[i] == nil {
		c.refused[i] = &faults{}
	}
	e.Pointer = pointer(path[2:]...)
	c.refused[i].add(e)
}

// setAside reduces each entry with an error to its name, so that it does not affect other entries.
func (c *bodyCheck) setAside() {
	entries, _ := c.value[c.op.each].([]any)
	for i := range c.refused {
		entry, _ := entries[i].(map[string]any)
		name, _ := entry["name"].(string)
		entries[i] = map[string]any{"name": name}
	}
}

// checkBounds returns an error unless a body's schema limits every list and map and defines all of
// its fields, on which trim relies. path is the position of the schema.
func checkBounds(s *openapi3.Schema, path string) error {
	if len(s.AllOf)+len(s.OneOf)+len(s.AnyOf) > 0 || s.Not != nil {
		return fmt.Errorf("body%s: allOf, oneOf, anyOf, and not are not supported in a request",
			path)
	}
	if s.Type.Is(openapi3.TypeArray) {
		if s.MaxItems == nil || s.Items == nil {
			return fmt.Errorf("body%s: a list in a request needs items and maxItems", path)
		}
		return checkBounds(s.Items.Value, path+"/items")
	}
	if !s.Type.Is(openapi3.TypeObject) {
		if s.Type == nil {
			return fmt.Errorf("body%s: missing type", path)
		}
		return nil
	}
	if more := s.AdditionalProperties.Schema; more != nil {
		if s.MaxProps == nil {
			return fmt.Errorf("body%s: a map in a request needs maxProperties", path)
		}
		if err := checkBounds(more.Value, path+"/additionalProperties"); err != nil {
			return err
		}
	} else if known := s.AdditionalProperties.Has; known == nil || *known {
		return fmt.Errorf("body%s: an object in a request needs additionalProperties: false", path)
	}
	for name, field := range s.Properties {
		if err := checkBounds(field.Value, path+"/"+name); err != nil {
			return err
		}
	}
	return nil
}
