// Command bench measures the system and prints a table. It compares each figure with a limit: the
// same work with only the bare libraries and services. Both are measured in the same run, in
// alternating rounds, and the table has the medians. Absolute figures depend on the machine; ratios
// hardly do.
//
// Everything runs on loopback, on servers that bench starts. Each file has one figure or one limit;
// bare_*.go are the limits. `make bench` runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

func main() {
	if code, is := runChild(os.Args[1:], os.Stdin, os.Stdout, os.Stderr); is {
		os.Exit(code)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// figure is a part of the table. Its items share the services that they need.
type figure struct {
	name  string
	items []string // -only is matched against "name/item"
	run   func(b *bench, items []string) error
}

func figures() []figure {
	return []figure{
		{"certificates", []string{"1", "8", "32", "names-10", "names-100"}, certificates},
		{"api", []string{"get", "create"}, apiRequests},
		{"lists", []string{"last"}, lists},
		{"listeners", []string{"events"}, listeners},
		{"dns", []string{"txt", "nxdomain", "memory"}, dnsAnswers},
		{"jobs", []string{"pickup", "drain"}, jobs},
		{"renewals", []string{"sweep"}, renewals},
		{"terraform", []string{"domains"}, terraform},
		{"revocation", []string{"all"}, revocation},
		{"noisy", []string{"bodies", "requests", "work", "dns", "locks", "removal", "renewals"}, noisy},
		{"scale", []string{"big", "small", "idle"}, scale},
	}
}

// bench is the state of one run of the program.
type bench struct {
	ctx     context.Context
	options options
	dir     string // for all files; removed at the end
	table   table
	log     io.Writer
}

type options struct {
	only    *regexp.Regexp
	rounds  int
	quick   bool
	full    bool
	data    string
	json    string
	profile string
}

// run implements main and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseFlags(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		return 2
	}
	b := &bench{ctx: ctx, options: o, log: stderr,
		table: table{Machine: describeMachine(), Rounds: o.rounds}}
	err = b.measure()
	if len(b.table.Rows) > 0 {
		b.table.print(stdout)
	}
	if err == nil && o.json != "" {
		err = b.table.writeJSON(o.json)
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return 0
}

func parseFlags(args []string, stderr io.Writer) (options, error) {
	var o options
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(stderr)
	only := fs.String("only", "",
		"measure only the figures that match this `regexp`, such as ^api/get or dns/txt")
	fs.IntVar(&o.rounds, "rounds", 0, "rounds of each figure (default 5, or 3 with -quick)")
	fs.BoolVar(&o.quick, "quick", false, "short rounds: about a minute in total, with more noise")
	fs.BoolVar(&o.full, "full", false, "compare a million domains with ten thousand in scale")
	fs.StringVar(&o.data, "data", "",
		"keep the installations of scale in this `directory`, and use those that are there")
	fs.StringVar(&o.json, "json", "", "also write the table to this `file`")
	fs.StringVar(&o.profile, "profile", "",
		"write a CPU profile of our side of the first round of each figure to this `directory`")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	var err error
	if o.only, err = regexp.Compile(*only); err != nil {
		_, _ = fmt.Fprintln(stderr, "bench: -only:", err)
		return o, err
	}
	if fs.NArg() > 0 || o.rounds < 0 {
		err = fmt.Errorf("bench takes no arguments, and -rounds must be at least 1")
		_, _ = fmt.Fprintln(stderr, err)
		return o, err
	}
	if o.data != "" {
		if o.data, err = filepath.Abs(o.data); err != nil {
			return o, err
		}
	}
	if o.rounds == 0 {
		o.rounds = pick(o.quick, 3, 5)
	}
	return o, nil
}

// measure runs the selected figures. It stops at the first failure.
func (b *bench) measure() error {
	var err error
	if b.dir, err = os.MkdirTemp("", "dcvaas-bench-"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(b.dir) }()
	// Postgres does not run as root, and needs access to its directory.
	if err := os.Chmod(b.dir, 0o755); err != nil {
		return err
	}
	measured := false
	for _, f := range figures() {
		var items []string
		for _, item := range f.items {
			if b.options.only.MatchString(f.name + "/" + item) {
				items = append(items, item)
			}
		}
		if len(items) == 0 {
			continue
		}
		measured = true
		start := time.Now()
		if err := f.run(b, items); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		b.say("%s took %s", f.name, time.Since(start).Round(time.Second))
	}
	if !measured {
		return errors.New("no figure matches -only")
	}
	return nil
}

func (b *bench) say(format string, args ...any) {
	_, _ = fmt.Fprintf(b.log, "bench: "+format+"\n", args...)
}

// pick returns short if quick is true, and long otherwise.
func pick[T any](quick bool, short, long T) T {
	if quick {
		return short
	}
	return long
}
