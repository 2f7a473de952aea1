package edge

import (
	"context"
	"log/slog"
	"net/http"
	"runtime/debug"
)

// Recovered handles the result of recover() in a deferred function of an HTTP handler. It logs a
// panic with its stack and calls respond. It panics again with http.ErrAbortHandler, by which a
// handler aborts its response. It does nothing if recovered is nil.
func Recovered(
	ctx context.Context, log *slog.Logger, requestID string, recovered any, respond func(),
) {
	switch recovered {
	case nil:
		return
	case http.ErrAbortHandler:
		panic(recovered)
	}
	log.LogAttrs(ctx, slog.LevelError, "panic", slog.String("request_id", requestID),
		slog.Any("panic", recovered), slog.String("stack", string(debug.Stack())))
	respond()
}
