package api

import (
	"time"

	"github.com/oapi-codegen/nullable"
)

// deref returns the value that v points to, or the zero value.
func deref[T any](v *T) T {
	if v == nil {
		var zero T
		return zero
	}
	return *v
}

// optional returns a pointer to v, nil for the zero value, which omits the field.
func optional[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// Null values are shared: a nullable is a map, and these are never written to.
var (
	nullText = nullable.NewNullNullable[string]()
	nullTime = nullable.NewNullNullable[time.Time]()
	noCause  = nullable.NewNullNullable[DelegationCause]()
)

// orNull returns s, null if empty.
func orNull(s string) nullable.Nullable[string] {
	if s == "" {
		return nullText
	}
	return nullable.NewNullableWithValue(s)
}

// listOf returns list, or an empty list instead of nil, which JSON encodes as null.
func listOf(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func timeOrNull(t *time.Time) nullable.Nullable[time.Time] {
	if t == nil {
		return nullTime
	}
	return nullable.NewNullableWithValue(t.UTC())
}

// timeOf returns the value of a nullable time, nil if it is null or was not sent.
func timeOf(n nullable.Nullable[time.Time]) *time.Time {
	if !n.IsSpecified() || n.IsNull() {
		return nil
	}
	t := n[true]
	return &t
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}

// textOf returns the value of a nullable field, "" if it is null or was not sent.
func textOf(n nullable.Nullable[string]) string {
	if n.IsNull() {
		return ""
	}
	return n[true]
}

// patchOf returns the change of a nullable field in a PATCH: nil if it was not sent, and "" if it
// is null.
func patchOf(n nullable.Nullable[string]) *string {
	if !n.IsSpecified() {
		return nil
	}
	s := textOf(n)
	return &s
}
