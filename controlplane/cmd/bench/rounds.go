package main

import (
	"cmp"
	"math"
	"os"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strings"
	"syscall"
	"time"
)

// interleave measures our side and the limit in alternating rounds. Every other round starts with
// the limit, so that neither side is always the first or the warmer one. name is the name of the
// profile, if profiles are enabled.
func (b *bench) interleave(name string, ours, limit func(round int) error) error {
	for round := range b.options.rounds {
		b.say("%s, round %d of %d", name, round+1, b.options.rounds)
		turns := []func(int) error{b.profiled(name, ours), limit}
		if round%2 == 1 {
			slices.Reverse(turns)
		}
		for _, turn := range turns {
			if err := turn(round); err != nil {
				return err
			}
			if err := b.ctx.Err(); err != nil {
				return err
			}
		}
	}
	return nil
}

// profiled writes the CPU profile of the first round, if profiles are enabled.
func (b *bench) profiled(name string, f func(int) error) func(int) error {
	return func(round int) error {
		if b.options.profile == "" || round > 0 {
			return f(round)
		}
		if err := os.MkdirAll(b.options.profile, 0o755); err != nil {
			return err
		}
		out, err := os.Create(filepath.Join(b.options.profile,
			strings.NewReplacer("/", "-", " ", "-").Replace(name)+".pprof"))
		if err != nil {
			return err
		}
		defer func() { _ = out.Close() }()
		if err := pprof.StartCPUProfile(out); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
		return f(round)
	}
}

// median returns the median, or 0 without values.
func median(values []float64) float64 { return percentile(values, 50) }

// percentile returns the value that p% of the values do not exceed (nearest rank; for the median,
// the mean of the two middle values).
func percentile(values []float64, p float64) float64 {
	if len(values) == 0 {
		return 0
	}
	v := slices.Sorted(slices.Values(values))
	if n := len(v); p == 50 && n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[max(int(math.Ceil(p/100*float64(len(v))))-1, 0)]
}

// ratios returns the ratio of each round.
func ratios(ours, limit []float64) []float64 {
	out := make([]float64, 0, len(ours))
	for i := range min(len(ours), len(limit)) {
		if limit[i] != 0 {
			out = append(out, ours[i]/limit[i])
		}
	}
	return out
}

// milliseconds converts durations to milliseconds.
func milliseconds(list []time.Duration) []float64 {
	out := make([]float64, len(list))
	for i, d := range list {
		out[i] = ms(d)
	}
	return out
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// cpuTime returns the CPU time of this process without its children.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func minMax[T cmp.Ordered](v []T) (low, high T) {
	if len(v) == 0 {
		return low, high
	}
	return slices.Min(v), slices.Max(v)
}
