package lifecycle

import (
	"reflect"
)

// same reports whether an update changes nothing: the object before and after it is deeply equal. A
// missing list or map equals an empty one.
func same[T any](before, after T) bool {
	return sameValue(reflect.ValueOf(before), reflect.ValueOf(after))
}

func sameValue(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Struct:
		for i := range a.NumField() {
			if !sameValue(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice, reflect.Map:
		if a.Len() == 0 && b.Len() == 0 {
			return true
		}
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}
