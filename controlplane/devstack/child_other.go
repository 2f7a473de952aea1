//go:build unix && !linux

package devstack

import "syscall"

// childAttributes cannot tie the child's life to ours here: a child that outlives a killed parent is found, and named, at the
// next start.
func childAttributes(owner *syscall.Credential, _ syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: owner, Setpgid: true}
}
