package postgrestest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// shared is a file system in memory on Linux. Each database of a test has hundreds of files, and on
// a disk, creating and removing them takes longer than most tests.
const shared = "/dev/shm"

// needed is how much space a server's databases may take, in bytes.
const needed = 2 << 30

// newDir creates the directory of the server: in memory if there is room, and otherwise among the
// temporary files. Its name has the process ID of the test binary.
func newDir() (string, error) {
	base := os.TempDir()
	if free(shared) >= needed {
		base = shared
	}
	removeLeft(base)
	return os.MkdirTemp(base, fmt.Sprintf("dcvaas-pg-%d-", os.Getpid()))
}

// removeLeft removes the directories of test binaries that were killed.
func removeLeft(base string) {
	dirs, _ := filepath.Glob(filepath.Join(base, "dcvaas-pg-*-*"))
	for _, dir := range dirs {
		name, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), "dcvaas-pg-"), "-")
		pid, err := strconv.Atoi(name)
		if err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			_ = os.RemoveAll(dir)
		}
	}
}
