package api

import "strconv"

// pointerOf returns the pointer of a field of an entry: by its index for JSON, and by its line for
// CSV.
func (c *call) pointerOf(entry int, field string) string {
	if c.lines != nil {
		return "/lines/" + strconv.Itoa(c.lines[entry]) + field
	}
	return "/" + c.op.each + "/" + strconv.Itoa(entry) + field
}
