package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

// ErrNoPostgres means that no Postgres server is installed.
var ErrNoPostgres = errors.New(
	"no PostgreSQL server found: install one with `apt-get install postgresql` (Debian, Ubuntu), " +
		"`dnf install postgresql-server` (Fedora, RHEL), `apk add postgresql` (Alpine), or `brew install postgresql@17` (macOS)")

// postgresPrograms is an installed server: the directory of postgres and initdb, and their major
// version.
type postgresPrograms struct {
	dir   string
	major int
}

// findPostgres returns the installed servers in order of preference: those on PATH, then from
// newest to oldest. If binDir is not empty, it searches only there.
func findPostgres(ctx context.Context, binDir string) ([]postgresPrograms, error) {
	var onPath, elsewhere []postgresPrograms
	seen := make(map[string]bool)
	look := func(dir string) (postgresPrograms, bool) {
		// Resolve links on PATH to find the directory of the other programs.
		program, err := filepath.EvalSymlinks(filepath.Join(dir, "postgres"))
		if err != nil || seen[program] {
			return postgresPrograms{}, false
		}
		seen[program] = true
		found, err := inspectPostgres(ctx, filepath.Dir(program))
		return found, err == nil
	}
	if binDir != "" {
		if found, ok := look(binDir); ok {
			return []postgresPrograms{found}, nil
		}
		return nil, fmt.Errorf("%s: %w", binDir, ErrNoPostgres)
	}
	if program, err := exec.LookPath("postgres"); err == nil {
		if found, ok := look(filepath.Dir(program)); ok {
			onPath = append(onPath, found)
		}
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/libexec/postgresql*", "/usr/bin",
		"/usr/local/bin", "/usr/local/pgsql/bin",
		"/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin", "/opt/homebrew/bin",
	} {
		dirs, _ := filepath.Glob(pattern) // fails only on malformed patterns
		for _, dir := range dirs {
			if found, ok := look(dir); ok {
				elsewhere = append(elsewhere, found)
			}
		}
	}
	slices.SortStableFunc(elsewhere, func(a, b postgresPrograms) int { return b.major - a.major })
	all := append(onPath, elsewhere...)
	if len(all) == 0 {
		return nil, ErrNoPostgres
	}
	return all, nil
}

var postgresVersion = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

func inspectPostgres(ctx context.Context, dir string) (postgresPrograms, error) {
	if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
		return postgresPrograms{}, err
	}
	output, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return postgresPrograms{}, err
	}
	match := postgresVersion.FindSubmatch(output)
	if match == nil {
		return postgresPrograms{}, fmt.Errorf("%s: unknown version %q", dir, output)
	}
	major, err := strconv.Atoi(string(match[1]))
	return postgresPrograms{dir: dir, major: major}, err
}
