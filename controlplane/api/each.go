package api

import "strconv"

// pointerOf returns where a field of an entry stands: by its index in JSON, and by its line
// in CSV.
func (c *call) pointerOf(entry int, field string) string {
	if c.lines != nil {
		return "/lines/" + strconv.Itoa(c.lines[entry]) + field
	}
	return "/" + c.op.each + "/" + strconv.Itoa(entry) + field
}
