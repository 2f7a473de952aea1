package rules

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ParseDuration parses a number of days such as "90d", or what time.ParseDuration accepts. A day
// has 24 hours.
func ParseDuration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if errors.Is(err, strconv.ErrRange) {
			return 0, fmt.Errorf("%q is more than %d days", s, math.MaxUint16)
		}
		if err != nil {
			return 0, fmt.Errorf("%q is not a number of days such as 90d", s)
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration such as 90d, 12h, or 30m", s)
	}
	return d, nil
}

// MaxOverlap is the longest grace period of a token's previous secret.
const MaxOverlap = 7 * 24 * time.Hour

// CheckLifetime returns an *Error unless a token can expire after d. The API has expiries in the
// future only, and the provider rounds them to seconds.
func CheckLifetime(d time.Duration) error {
	if d < time.Second {
		return ExpiresInPast()
	}
	return nil
}

// ExpiresInPast returns the error of a token that would have expired when it is created.
func ExpiresInPast() *Error {
	return &Error{Code: "expires-in-past", Message: "The token's expiry is in the past.",
		Fix: "Use a time in the future, or a lifetime of at least a second, such as 90d or 12h."}
}

// CheckOverlap returns an *Error unless d can be the grace period of a previous secret. The API
// counts it in seconds.
func CheckOverlap(d time.Duration) error {
	if d < 0 || d > MaxOverlap || d%time.Second != 0 {
		return &Error{Code: "out-of-range",
			Message: "The grace period is not from 0 to 7 days in whole seconds.",
			Fix:     "Use a duration such as 24h or 2d, or 0s to revoke the previous secret immediately."}
	}
	return nil
}
