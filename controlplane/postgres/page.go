package postgres

import "time"

// Cursor is a position in a list: the sort key's value as text, and the id that breaks ties.
type Cursor struct {
	Key string
	ID  string
}

const timeKey = "2006-01-02T15:04:05.000000Z"

// at returns the position of a row in a list that is sorted by time.
func at(t time.Time, id string) *Cursor {
	return &Cursor{Key: t.UTC().Format(timeKey), ID: id}
}

// page cuts a result that was asked for with one row too many, and returns the cursor of
// the next page, nil on the last one.
func page[T any](items []T, limit int, position func(T) *Cursor) ([]T, *Cursor) {
	if len(items) <= limit {
		return items, nil
	}
	items = items[:limit]
	return items, position(items[limit-1])
}

// after returns the cursor as query arguments; null where there is none.
func (c *Cursor) after() (key, id *string) {
	if c == nil {
		return nil, nil
	}
	return &c.Key, &c.ID
}
