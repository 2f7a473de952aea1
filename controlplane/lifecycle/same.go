package lifecycle

import "reflect"

// same reports whether an update changes nothing: no field of the struct differs. A missing list or
// map equals an empty one.
func same[T any](before, after T) bool {
	a, b := reflect.ValueOf(before), reflect.ValueOf(after)
	for i := range a.NumField() {
		x, y := a.Field(i), b.Field(i)
		kind := x.Kind()
		if (kind == reflect.Slice || kind == reflect.Map) && x.Len()+y.Len() == 0 {
			continue
		}
		if !reflect.DeepEqual(x.Interface(), y.Interface()) {
			return false
		}
	}
	return true
}
