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

// claim returns an error if another server is running on the directory. The error is a
// passingError, because that server may be shutting down. claim removes a stale lock file in cases
// where Postgres does not: after a container restart, another process often has the old server's
// ID.
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
		return nil // Postgres replaces the file, or reports what is invalid
	}
	if runtime.GOOS == "linux" {
		// A postmaster's working directory is its data directory. A zombie process has no working
		// directory.
		cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
		if (err == nil && cwd != d.path) || errors.Is(err, fs.ErrNotExist) {
			return os.Remove(lockPath)
		}
	}
	return &passingError{
		fmt.Errorf("a server (pid %d) is already running on %s: stop it with `kill -INT %d`, or use another directory", pid, d.path, pid)}
}

// lockHolder returns the process ID in a lock file, or 0.
func lockHolder(lock []byte) int {
	first, _, _ := strings.Cut(string(lock), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || pid < 0 {
		return 0
	}
	return pid
}

// processExists reports whether the process exists and can be signaled by the current user.
// Processes of other users can't have the directory.
func processExists(pid int) bool { return syscall.Kill(pid, 0) == nil }
