//go:build unix && !linux

package devstack

import "syscall"

// childAttributes can't tie the child's lifetime to this process on this platform. If the parent is
// killed, the next start detects the remaining child and reports it.
func childAttributes(owner *syscall.Credential, _ syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: owner, Setpgid: true}
}
