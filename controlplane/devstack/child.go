package devstack

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// child is a running server process in a separate process group, so that Ctrl-C in the terminal
// reaches only this process, which then stops the child gracefully. On Linux, the child also stops
// when this process dies for any reason.
type child struct {
	cmd *exec.Cmd
	// done is closed when the process has exited. Only then may waitErr be read.
	done    chan struct{}
	waitErr error
	tail    *tailWriter
}

// startChild starts cmd, as owner if that is not nil, with a minimal environment: the caller's
// PGPORT or LANG must not affect the server. The output goes to log, which may be nil, and its tail
// is kept for error messages. If this process dies, the child gets the signal onParentDeath.
func startChild(
	cmd *exec.Cmd, owner *syscall.Credential, onParentDeath syscall.Signal, log io.Writer,
) (*child, error) {
	c := &child{cmd: cmd, done: make(chan struct{}), tail: &tailWriter{}}
	var output io.Writer = c.tail
	if log != nil {
		output = io.MultiWriter(c.tail, log)
	}
	cmd.Stdout, cmd.Stderr = output, output
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = childAttributes(owner, onParentDeath)
	cmd.WaitDelay = time.Second // a remaining grandchild keeps the output open

	started := make(chan error)
	go func() {
		// The kernel sends the parent-death signal when the *thread* that started the child exits,
		// so this thread must live as long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		c.waitErr = cmd.Wait()
		close(c.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return c, nil
}

func (c *child) pid() int { return c.cmd.Process.Pid }

func (c *child) running() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// wait waits until the process has exited, and kills it if ctx is canceled first.
func (c *child) wait(ctx context.Context) error {
	select {
	case <-c.done:
		return c.waitErr
	case <-ctx.Done():
		_ = c.cmd.Process.Kill()
		<-c.done
		return context.Cause(ctx)
	}
}

// stop sends the signals one by one until the process has exited: the first immediately, each
// further one when ctx is canceled or patience has passed, and finally SIGKILL. When it returns,
// the process has exited. It returns an error if the first signal was not enough.
func (c *child) stop(ctx context.Context, patience time.Duration, signals ...syscall.Signal) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for i, signal := range signals {
		_ = c.cmd.Process.Signal(signal)
		if i > 0 {
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			ctx = last
		}
		select {
		case <-c.done:
			if i == 0 {
				return nil
			}
			return fmt.Errorf("pid %d did not stop before the timeout: stopped with %s", c.pid(),
				signal)
		case <-ctx.Done():
		}
	}
	_ = c.cmd.Process.Kill()
	<-c.done
	return fmt.Errorf("pid %d did not stop before the timeout: killed", c.pid())
}

// failure returns an error that describes an unexpected exit of the child.
func (c *child) failure() error {
	<-c.done
	if output := strings.TrimSpace(c.tail.String()); output != "" {
		return fmt.Errorf("%s: %s:\n%s", c.cmd.Path, c.cmd.ProcessState, output)
	}
	return fmt.Errorf("%s: %s", c.cmd.Path, c.cmd.ProcessState)
}

// tailWriter keeps the last few thousand bytes of its input.
type tailWriter struct {
	mu  sync.Mutex
	buf []byte
}

const tailBytes = 4096

func (w *tailWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf = append(w.buf, p...)
	if excess := len(w.buf) - tailBytes; excess > 0 {
		w.buf = append(w.buf[:0], w.buf[excess:]...)
	}
	return len(p), nil
}

func (w *tailWriter) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.buf)
}
