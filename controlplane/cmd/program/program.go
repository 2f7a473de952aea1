// Package program wires the control plane together. It is the only place that reads the
// environment, and the only one that knows every part. Tests run the same App on free ports.
package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// cli is the command line: the commands, and the flags that all of them take.
type cli struct {
	Serve   serveCommand   `cmd:"" help:"Serve the API and the dashboard."`
	Work    workCommand    `cmd:"" help:"Run workers: jobs, relay, sweeps."`
	DNS     dnsCommand     `cmd:"" name:"dns" help:"Answer for the validation zone."`
	All     allCommand     `cmd:"" help:"Serve, work and dns in one process."`
	Migrate migrateCommand `cmd:"" help:"Bring the database's schema to this version."`
	Dev     devCommand     `cmd:"" help:"Run everything on this machine, with nothing configured."`
	Admin   adminCommand   `cmd:"" help:"Commands of the operator."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

// run is what a command is handed.
type run struct {
	ctx     context.Context
	version string
	stdout  io.Writer
	stderr  io.Writer
}

// Main runs one command and returns the process's exit status: 0 when it did what was asked,
// 1 when it failed, 2 when it was called wrongly. An interrupt ends it in good order.
func Main(version string, args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c cli
	exited := -1
	parser, err := kong.New(&c, kong.Name("dcvaas"),
		kong.Description("Domain control validation and TLS certificates as a service. Every flag can be given as the environment variable named beside it, and every secret as a file by the variable with _FILE behind it."),
		kong.UsageOnError(), kong.Writers(stdout, stderr), kong.Exit(func(code int) { exited = code }),
		kong.Resolvers(secretFiles(os.LookupEnv)), kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "dcvaas:", err)
		return 1
	}
	k, err := parser.Parse(args)
	if exited >= 0 {
		return exited
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "dcvaas:", err)
		return 2
	}
	if err := k.Run(&run{ctx, version, stdout, stderr}); err != nil && !errors.Is(err, context.Canceled) {
		_, _ = fmt.Fprintln(stderr, "dcvaas:", err)
		return 1
	}
	return 0
}

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(r *run) error {
	_, err := fmt.Fprintln(r.stdout, "dcvaas", r.version)
	return err
}

// newLogger returns the program's log: JSON lines, or text where a person reads them.
func newLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log-level (DCVAAS_LOG_LEVEL): %q is none of debug, info, warn, error", level)
	}
	opts := &slog.HandlerOptions{Level: l}
	if format == "text" {
		return slog.New(slog.NewTextHandler(w, opts)), nil
	}
	return slog.New(slog.NewJSONHandler(w, opts)), nil
}
