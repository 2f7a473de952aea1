package soak

import (
	"cmp"
	"flag"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

var (
	matrixFull = flag.Bool("matrix.full", false, "run every cell of the fault matrix")
	matrixOnly = flag.String("matrix.only", "",
		"regular expression of the cells to run, of all: situation/step/harm/often/other CA")
)

// TestMatrix runs an order with each fault at each step, and checks that the certificate arrives,
// that the CA is not flooded, and that the texts name the party that must act. Each cell has its
// own clock and CAs.
func TestMatrix(t *testing.T) {
	t.Parallel()
	cells := chosen()
	var mu sync.Mutex
	all := newSummary()
	t.Cleanup(func() { t.Log(all.String()) })
	lanes := make(chan *lane, 16)
	for _, at := range cells {
		t.Run(at.String(), func(tt *testing.T) {
			tt.Parallel()
			var l *lane
			select {
			case l = <-lanes:
			default:
				l = newLane(t)
			}
			c := l.play(tt, at)
			lanes <- l
			mu.Lock()
			defer mu.Unlock()
			all.add(c)
			if len(c.faults) > 0 {
				tt.Error(strings.Join(c.faults, "\n"))
				tt.Log(strings.Join(c.trace[max(len(c.trace)-20, 0):], "\n"))
			}
		})
	}
}

// everyCell returns all cells, in a constant order.
func everyCell() []coordinates {
	var cells []coordinates
	add := func(s situation, at stage, h harm, several bool) {
		for _, n := range []often{once, twice, forever} {
			for _, backup := range []bool{false, true} {
				cells = append(cells, coordinates{at, h, n, backup, s, several})
			}
		}
	}
	for _, at := range stages {
		for _, h := range harms() {
			if !slices.Contains(h.at, at) {
				continue
			}
			add(first, at, h, false)
			renewal := slices.Contains(renewalSteps, at) && slices.Contains(renewalHarms, h.name)
			if renewal {
				add(urgent, at, h, false)
				add(relaxed, at, h, false)
			}
			if h.name == healthy ||
				slices.Contains(namesSteps, at) && slices.Contains(namesHarms, h.name) {
				add(first, at, h, true)
				if renewal {
					add(relaxed, at, h, true)
				}
			}
		}
	}
	return cells
}

// Orders of several names meet a part of the faults: what differs from an order of one name are the
// steps that have an object for each name, and the limits and texts that concern some of the names.
var (
	namesSteps = []stage{atNewOrder, atOrder, atAuthorization, atChallenge, atValidation,
		atFinalize, atProcessing, atIssuance}
	namesHarms = []string{"badNonce", "caa", "compound", "dns", "incorrectResponse",
		"orderNotReady", "rateLimited", "rejectedIdentifier", "serverInternal", "unauthorized",
		"404", "409", "429 for an hour", "503 page", "500 after processing", "null",
		"unknown status", "reset after processing", "unfinished with Retry-After 60",
		"unfinished with Retry-After 86400"}
)

// Renewals meet a part of the faults: what differs from a first certificate are the deadlines.
var (
	renewalSteps = []stage{atNewOrder, atAuthorization, atValidation, atFinalize, atProcessing,
		atCertificate}
	renewalHarms = []string{"alreadyReplaced", "rejectedIdentifier", "unauthorized", "caa", "404",
		monthLimit, "503 page", "null", "reset after processing",
		"503 with Retry-After 2592000", "unfinished with Retry-After 86400",
		"unfinished with Retry-After 60"}
)

// chosen returns the cells to run: those of the flags, or a constant sample with every step, every
// fault, and every situation.
func chosen() []coordinates {
	all := everyCell()
	switch {
	case *matrixOnly != "":
		only := regexp.MustCompile(*matrixOnly)
		return slices.DeleteFunc(all, func(c coordinates) bool {
			return !only.MatchString(c.String())
		})
	case *matrixFull:
		return all
	}
	const every = 19 // coprime to the size of each dimension
	type namesAt struct {
		stage   stage
		several bool
	}
	seen := map[any]bool{}
	var some []coordinates
	for i, c := range all {
		at := namesAt{c.stage, c.several}
		if i%every == 0 || !seen[at] || !seen[c.harm.name] || !seen[c.situation] {
			some = append(some, c)
			seen[at], seen[c.harm.name], seen[c.situation] = true, true, true
		}
	}
	return some
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
