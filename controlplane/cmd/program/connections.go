package program

import (
	"context"
	"log/slog"
	"time"
)

// minConnections is the minimum of Config.Connections; dnsConnections is the maximum that a process
// with only the name server uses.
const minConnections, dnsConnections = 6, 10

// connections returns how many connections to Postgres a process with these parts opens at most.
func (c *Config) connections(parts Parts) int {
	if parts == (Parts{DNS: true}) {
		return min(c.Connections, dnsConnections)
	}
	return c.Connections
}

// checkConnections warns if the processes together may open more connections than the server
// allows.
func (a *App) checkConnections() {
	ctx, cancel := context.WithTimeout(a.watching, time.Minute)
	defer cancel()
	for {
		c, err := a.store.Connections(ctx)
		if err == nil && c.Planned > c.Allowed {
			a.log.LogAttrs(ctx, slog.LevelWarn,
				"postgres allows fewer connections than the processes may open; raise its max_connections, or lower database-connections (DCVAAS_DATABASE_CONNECTIONS)",
				slog.Int("allowed", c.Allowed), slog.Int("may_open", c.Planned),
				slog.Int("of_this_process", c.Own))
		}
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}
