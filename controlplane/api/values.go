package api

import (
	"time"

	"github.com/oapi-codegen/nullable"
)

// deref returns what v points at, or the zero value.
func deref[T any](v *T) T {
	if v == nil {
		var zero T
		return zero
	}
	return *v
}

// optional returns a pointer to s, nil where it is empty: the field is left out.
func optional[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// What is null in every answer is made once: a nullable is a map, and nothing writes to one.
var (
	nullText = nullable.NewNullNullable[string]()
	nullTime = nullable.NewNullNullable[time.Time]()
)

// orNull returns s, null where it is empty.
func orNull(s string) nullable.Nullable[string] {
	if s == "" {
		return nullText
	}
	return nullable.NewNullableWithValue(s)
}

// listOf returns list, and never nil, which JSON would have as null.
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

// timeOf returns what a nullable time was set to, nil where it is null or was not sent.
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

// textOf returns what a nullable field was set to, "" where it is null or was not sent.
func textOf(n nullable.Nullable[string]) string {
	if n.IsNull() {
		return ""
	}
	return n[true]
}

// patchOf returns what a nullable field of a PATCH changes: nothing where it was not sent,
// and to "" where it is null.
func patchOf(n nullable.Nullable[string]) *string {
	if !n.IsSpecified() {
		return nil
	}
	s := textOf(n)
	return &s
}
