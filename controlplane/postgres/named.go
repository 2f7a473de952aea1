package postgres

import (
	"maps"

	"github.com/jackc/pgx/v5"
)

// named holds a statement's arguments by name. Every name must occur in the statement, and every
// name in the statement must have an argument. The driver numbers the arguments in the order in
// which the text names them, so one text is always prepared as one statement.
type named = pgx.StrictNamedArgs

// merge returns the arguments of a statement that is assembled from several parts.
func merge(parts ...named) named {
	all := named{}
	for _, p := range parts {
		maps.Copy(all, p)
	}
	return all
}
