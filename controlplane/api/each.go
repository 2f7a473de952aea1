package api

import (
	"slices"
	"strconv"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// setAside takes what is wrong with single entries of op.each out of fields, so that such an
// entry keeps no other back, and returns it by entry, its pointers within that. Nothing but
// its name is left of such an entry. What nobody could have meant, such as a field that does
// not exist, stays.
func (op *operation) setAside(value map[string]any, fields []controlplane.FieldError) (map[int][]controlplane.FieldError, []controlplane.FieldError) {
	refused := make(map[int][]controlplane.FieldError)
	entries, _ := value[op.each].([]any)
	stay := slices.DeleteFunc(fields, func(f controlplane.FieldError) bool {
		place, within := strings.CutPrefix(f.Pointer, "/"+op.each+"/")
		number, field, _ := strings.Cut(place, "/")
		i, err := strconv.Atoi(number)
		if !within || field == "" || err != nil || i >= len(entries) || isMalformed(f.Code) {
			return false
		}
		f.Pointer = "/" + field
		refused[i] = append(refused[i], f)
		return true
	})
	for i := range refused {
		slices.SortFunc(refused[i], func(x, y controlplane.FieldError) int { return strings.Compare(x.Pointer, y.Pointer) })
		entry, _ := entries[i].(map[string]any)
		name, _ := entry["name"].(string)
		entries[i] = map[string]any{"name": name}
	}
	return refused, stay
}

// pointerOf returns where a field of an entry stands: by its index in JSON, and by its line
// in CSV.
func (c *call) pointerOf(entry int, field string) string {
	if c.lines != nil {
		return "/lines/" + strconv.Itoa(c.lines[entry]) + field
	}
	return "/" + c.op.each + "/" + strconv.Itoa(entry) + field
}
