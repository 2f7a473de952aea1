package postgrestest

import (
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"testing"
)

func TestRemoveLeft(t *testing.T) {
	gone := osexec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	base := t.TempDir()
	for name, want := range map[string]bool{
		fmt.Sprintf("dcvaas-pg-%d-1", gone.Process.Pid): false,
		fmt.Sprintf("dcvaas-pg-%d-2", os.Getpid()):      true,
		"dcvaas-pg-other-3":                             true,
	} {
		dir := filepath.Join(base, name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		removeLeft(base)
		if _, err := os.Stat(dir); (err == nil) != want {
			t.Errorf("removeLeft: Stat(%s) = %v, want it kept: %v", name, err, want)
		}
	}
}
