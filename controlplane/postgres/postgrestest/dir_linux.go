package postgrestest

import "syscall"

// free returns the free space of a file system, in bytes, or 0 if it is unknown.
func free(dir string) uint64 {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0
	}
	return s.Bavail * uint64(s.Bsize)
}
