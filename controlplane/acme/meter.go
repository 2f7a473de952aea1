package acme

import (
	"context"
	"errors"
	"time"
)

const (
	// requestsPerRun and requestsPerAuthorization limit the requests of one run. An order without
	// complications takes 4, and 3 for each authorization.
	requestsPerRun           = 20
	requestsPerAuthorization = 6
	// budgetPause is the pause after a run that has used up its requests.
	budgetPause = 10 * time.Second
)

// meter counts the requests of one run to the CA. It is used by one goroutine.
type meter struct {
	used  int
	limit int
}

// limitOf returns the number of requests that a run may send for an order.
func limitOf(authorizations int) int {
	return requestsPerRun + requestsPerAuthorization*authorizations
}

type meterKey struct{}

// withMeter returns a context whose requests count towards m.
func withMeter(ctx context.Context, m *meter) context.Context {
	return context.WithValue(ctx, meterKey{}, m)
}

// errManyRequests is the cause of a run that ended because it used up its requests.
var errManyRequests = errors.New("the run has sent as many requests as it may")

// spend counts a request of the run that ctx belongs to. It returns false if the run has none left.
func spend(ctx context.Context) bool {
	m, ok := ctx.Value(meterKey{}).(*meter)
	if !ok {
		return true
	}
	if m.used >= m.limit {
		return false
	}
	m.used++
	return true
}
