package postgres

import (
	"reflect"
	"strings"
)

// column is a column whose name is also the name of its argument.
type column[T any] struct {
	name  string
	field func(*T) any // a pointer to the field
}

// columns are columns that are read and written together. A statement takes its column lists and
// its arguments from them.
type columns[T any] []column[T]

// list returns the columns for a SELECT or an INSERT, each with the prefix.
func (c columns[T]) list(prefix string) string {
	return c.join(func(name string) string { return prefix + name })
}

// placeholders returns the arguments for an INSERT, in the order of list.
func (c columns[T]) placeholders() string {
	return c.join(func(name string) string { return "@" + name })
}

// set returns the assignments for an UPDATE.
func (c columns[T]) set() string {
	return c.join(func(name string) string { return name + " = @" + name })
}

func (c columns[T]) join(text func(name string) string) string {
	parts := make([]string, len(c))
	for i, col := range c {
		parts[i] = text(col.name)
	}
	return strings.Join(parts, ", ")
}

// fields returns the destinations of a scan, in the order of list.
func (c columns[T]) fields(row *T) []any {
	fields := make([]any, len(c))
	for i, col := range c {
		fields[i] = col.field(row)
	}
	return fields
}

// args returns the arguments: the values of the fields, because a group may send a statement after
// its caller has moved on and changed the row.
func (c columns[T]) args(row *T) named {
	args := make(named, len(c))
	for _, col := range c {
		args[col.name] = reflect.ValueOf(col.field(row)).Elem().Interface()
	}
	return args
}
