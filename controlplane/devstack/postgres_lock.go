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
	pid := lockHolder(lock)
	if pid == 0 || !processExists(pid) {
		return nil // Postgres takes its place, or says what is wrong with the file
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

// lockHolder returns the process id in a lock file, or 0.
func lockHolder(lock []byte) int {
	first, _, _ := strings.Cut(string(lock), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || pid < 0 {
		return 0
	}
	return pid
}

// processExists reports whether there is such a process that we may signal: one of another user cannot have the directory.
func processExists(pid int) bool { return syscall.Kill(pid, 0) == nil }
