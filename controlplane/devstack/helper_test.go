package devstack_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
)

// helperDir is an environment variable that makes the test binary start one server in that
// directory, print its process ID, and wait to be killed.
const (
	helperKind = "DEVSTACK_TEST_HELPER"
	helperDir  = "DEVSTACK_TEST_DIR"
)

func TestHelperProcess(t *testing.T) {
	var pid int
	switch os.Getenv(helperKind) {
	case "":
		return
	case "postgres":
		p, err := devstack.StartPostgres(t.Context(),
			devstack.PostgresConfig{Dir: os.Getenv(helperDir)})
		if err != nil {
			t.Fatal(err)
		}
		pid = p.PID()
	case "redis":
		r, err := devstack.StartRedis(t.Context(), devstack.RedisConfig{Dir: os.Getenv(helperDir)})
		if err != nil {
			t.Fatal(err)
		}
		pid = r.PID()
	}
	fmt.Printf("pid=%d\n", pid)
	time.Sleep(time.Minute)
}

// startHelper starts a process whose child is a server of the kind on dir. It returns the process
// and the server's process ID.
func startHelper(t *testing.T, kind, dir string) (helper *os.Process, server int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestHelperProcess$")
	cmd.Env = append(os.Environ(), helperKind+"="+kind, helperDir+"="+dir)
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), "pid="); ok {
			pid, err := strconv.Atoi(value)
			if err != nil {
				t.Fatal(err)
			}
			return cmd.Process, pid
		}
		t.Log(lines.Text())
	}
	t.Fatal("the helper process exited without a process ID")
	return nil, 0
}

// waitGone fails the test if the process is still running after a while. Zombie processes do not
// count as running.
func waitGone(t *testing.T, pid int) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(
		20 * time.Millisecond) {
		if syscall.Kill(pid, 0) != nil {
			return
		}
		if status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)); err == nil &&
			strings.Contains(string(status), "State:\tZ") {
			return
		}
	}
	t.Errorf("process %d is still running", pid)
}

// rerunAs runs the named tests of this binary as an unprivileged user, with a separate temporary
// directory.
func rerunAs(t *testing.T, uid, gid uint32, run string) {
	t.Helper()
	room, err := os.MkdirTemp("/tmp", "devstack-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(room) })
	binary := filepath.Join(room, "devstack.test")
	tmp := filepath.Join(room, "tmp")
	copyFile(t, os.Args[0], binary)
	for _, err := range []error{os.Chmod(room, 0o755), os.Mkdir(tmp, 0o700),
		os.Chown(tmp, int(uid), int(gid))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(binary, "-test.run="+run, "-test.v", "-test.timeout=3m")
	cmd.Dir = tmp
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp, "HOME="+tmp)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("tests %s as uid %d: %v\n%s", run, uid, err, output)
	}
	if !strings.Contains(string(output), "--- PASS") {
		t.Errorf("tests %s as uid %d: no test ran:\n%s", run, uid, output)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	src, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(dst, src); err != nil {
		t.Fatal(err)
	}
	if err := dst.Close(); err != nil {
		t.Fatal(err)
	}
}
