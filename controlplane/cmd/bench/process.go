package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// start starts the process in a new process group, whose ID is used to find and stop its children.
func (c *child) start() error {
	c.cmd.SysProcAttr = groupAttributes()
	c.done = make(chan struct{})
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // the parent-death signal is tied to the thread
		err := c.cmd.Start()
		started <- err
		if err == nil {
			_, _ = c.cmd.Process.Wait()
		}
		close(c.done)
	}()
	return <-started
}

// stop stops the process and its children.
func (c *child) stop() {
	c.end()
	select {
	case <-c.done:
	case <-time.After(5 * time.Second):
	}
	_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
	<-c.done
}

// cpu returns the CPU time of the process and its children, user and system.
func (c *child) cpu() (time.Duration, error) { return cpuOf(c.cmd.Process.Pid) }

// cpuOf returns the CPU time of the processes of a group and the children of its leader.
func cpuOf(leader int) (time.Duration, error) {
	var ticks int64
	err := eachStat(leader, func(_ string, fields []string) error {
		user, err1 := strconv.ParseInt(fields[11], 10, 64)
		system, err2 := strconv.ParseInt(fields[12], 10, 64)
		ticks += user + system
		return errors.Join(err1, err2)
	})
	// USER_HZ is 100 on all Linux platforms that Go supports
	return time.Duration(ticks) * (time.Second / 100), err
}

// resident returns the resident memory of the process and its children, in MB.
func (c *child) resident() (float64, error) {
	var kB int64
	err := eachStat(c.cmd.Process.Pid, func(pid string, _ []string) error {
		status, err := os.ReadFile(filepath.Join("/proc", pid, "status"))
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(status)) {
			if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
				n, err := strconv.ParseInt(strings.Fields(v)[0], 10, 64)
				kB += n
				return err
			}
		}
		return errors.New("no VmRSS in /proc")
	})
	return float64(kB) / 1024, err
}

// eachStat calls f for every process of the group and every child of its leader, with the fields of
// proc_pid_stat(5), starting with the third, "state".
func eachStat(leader int, f func(pid string, fields []string) error) error {
	group := strconv.Itoa(leader)
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return err
	}
	found := false
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // the process has exited
		}
		stat := string(raw)
		// a name may contain any character
		fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
		if len(fields) < 13 || fields[1] != group && fields[2] != group {
			continue
		}
		found = true
		if err := f(filepath.Base(filepath.Dir(path)), fields); err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf(
			"process %s not found in /proc: it has exited, or the system is not Linux", group)
	}
	return nil
}

// busyTime returns the CPU time of all processes since boot, including time stolen by the
// hypervisor. It returns 0 if /proc does not have it.
func busyTime() time.Duration {
	raw, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	var ticks int64
	for i, field := range strings.Fields(line) {
		// the name; idle and iowait; guest times, which user includes
		if i < 1 || i == 4 || i == 5 || i > 8 {
			continue
		}
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0
		}
		ticks += n
	}
	return time.Duration(ticks) * (time.Second / 100)
}
