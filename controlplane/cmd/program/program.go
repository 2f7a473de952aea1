// Package program wires the control plane together. In the control plane, only this package reads
// the environment and imports every part. Tests run the same App on free ports.
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

// cli is the command line.
type cli struct {
	Serve   serveCommand   `cmd:"" help:"Serve the API and the dashboard."`
	Work    workCommand    `cmd:"" help:"Run the workers: jobs, relay, and sweeps."`
	DNS     dnsCommand     `cmd:"" name:"dns" help:"Serve the validation zone."`
	All     allCommand     `cmd:"" help:"Run serve, work, and dns in one process."`
	Migrate migrateCommand `cmd:"" help:"Upgrade the database schema to this version."`
	Dev     devCommand     `cmd:"" help:"Run the whole system on this machine, without configuration."`
	Admin   adminCommand   `cmd:"" help:"Operator commands."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

// run is the context of a command.
type run struct {
	ctx     context.Context
	version string
	stdout  io.Writer
	stderr  io.Writer
}

// Main runs one command and returns the process's exit status: 0 on success, 1 on failure, 2 for
// invalid arguments, and 78 if a restart cannot help until a setting is changed. It shuts down
// gracefully on an interrupt, and exits on a second one.
func Main(version string, args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	var c cli
	exited := -1
	parser, err := kong.New(&c, kong.Name("dcvaas"),
		kong.Description(
			"Domain control validation and TLS certificates as a service. Every flag can also be set with the environment variable next to it. To read a value from a file, append _FILE to the variable's name."),
		kong.UsageOnError(), kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exited = code }),
		kong.Resolvers(secretFiles(os.LookupEnv)),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "dcvaas:", err)
		return 1
	}
	showOwnFlags(parser.Model)
	k, err := parser.Parse(args)
	if exited >= 0 {
		return exited
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "dcvaas:", err)
		return 2
	}
	err = k.Run(&run{ctx, version, stdout, stderr})
	if setup := setupError(err); setup != nil {
		_, _ = fmt.Fprintln(stderr, "dcvaas:", setup)
		return exitSetup
	}
	if err != nil && !errors.Is(err, context.Canceled) {
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

// newLogger returns the program's logger. The format is json or text.
func newLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf(
			"log-level (DCVAAS_LOG_LEVEL): invalid level %q: must be debug, info, warn, or error",
			level)
	}
	opts := &slog.HandlerOptions{Level: l}
	if format == "text" {
		return slog.New(slog.NewTextHandler(w, opts)), nil
	}
	return slog.New(slog.NewJSONHandler(w, opts)), nil
}
