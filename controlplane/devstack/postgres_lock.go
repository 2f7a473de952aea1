package devstack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// claim fails if another server runs on the directory, with a passing error, since that server may just be ending. It takes
// away the lock file of one that is gone where Postgres would not dare to: after a restart of a container, another process
// often has the old server's id.
func (d dataDir) claim() error {
	lockPath := filepath.Join(d.path, "postmaster.pid")
	lock, err := os.ReadFile(lockPath)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	first, _, _ := strings.Cut(string(lock), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || pid <= 0 {
		return nil // Postgres itself says what is wrong with it
	}
	if syscall.Kill(pid, 0) != nil {
		return nil // gone, or of a user who cannot have made this directory: Postgres takes its place
	}
	if runtime.GOOS == "linux" {
		// A postmaster's working directory is its data directory. One that has ended, and whose parent does not ask for it,
		// has none.
		cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
		if (err == nil && cwd != d.path) || errors.Is(err, fs.ErrNotExist) {
			return os.Remove(lockPath)
		}
	}
	return &passingError{fmt.Errorf("a server (pid %d) already runs on %s: stop it with `kill -INT %d`, or use another directory", pid, d.path, pid)}
}
