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

// ErrNoPostgres means that this machine has no Postgres server.
var ErrNoPostgres = errors.New("no PostgreSQL server found: install one by `apt-get install postgresql` (Debian, Ubuntu), " +
	"`dnf install postgresql-server` (Fedora, RHEL), `apk add postgresql` (Alpine) or `brew install postgresql@17` (macOS)")

// postgresPrograms is an installed server: the directory of postgres and initdb, and their major version.
type postgresPrograms struct {
	dir   string
	major int
}

// findPostgres returns the installed servers, the one to prefer first: what is on PATH, then from newest to oldest. It looks
// into binDir only, if that is not empty.
func findPostgres(ctx context.Context, binDir string) ([]postgresPrograms, error) {
	var onPath, elsewhere []postgresPrograms
	seen := make(map[string]bool)
	look := func(dir string) (postgresPrograms, bool) {
		// A link on PATH stands for the directory it leads to, where the other programs are.
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
		"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/libexec/postgresql*", "/usr/bin", "/usr/local/bin", "/usr/local/pgsql/bin",
		"/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin", "/opt/homebrew/bin",
	} {
		dirs, _ := filepath.Glob(pattern) // fails on malformed patterns only
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
