package program

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/seal"
)

// shell runs a command line of sh, in which $dcvaas is the program and the keyset's file is keyset.
func shell(t *testing.T, dir, line string) (string, error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), asProgram+"=1", "dcvaas="+self, "DCVAAS_KEYSET_FILE=keyset")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// keysetDir returns a folder with a new keyset in the file keyset.
func keysetDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := shell(t, dir, "$dcvaas admin new-keyset --out keyset"); err != nil {
		t.Fatalf("new-keyset --out = %v: %s", err, out)
	}
	return dir
}

// sealed returns text sealed with the keyset in the file.
func sealed(t *testing.T, file string) []byte {
	t.Helper()
	got, err := sealerOf(t, file).Seal([]byte("key"), "ord_1")
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func sealerOf(t *testing.T, file string) *seal.Sealer {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s, err := seal.Open(b)
	if err != nil {
		t.Fatalf("Open of %s: %v", file, err)
	}
	return s
}

func TestRotateKeysetInPlace(t *testing.T) {
	t.Parallel()
	dir := keysetDir(t)
	file := filepath.Join(dir, "keyset")
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o440); err != nil {
		t.Fatal(err)
	}
	before := sealed(t, file)
	for _, step := range []string{"--in-place --prepare", "--in-place"} {
		if out, err := shell(t, dir, "$dcvaas admin rotate-keyset "+step); err != nil {
			t.Fatalf("rotate-keyset %s = %v: %s", step, err, out)
		}
		if _, err := sealerOf(t, file).Open(before, "ord_1"); err != nil {
			t.Errorf("after %s, the keyset does not open what the first one sealed: %v", step, err)
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o440 {
			t.Errorf("mode after %s = %v, %v, want 0440", step, info.Mode(), err)
		}
	}
	copies, err := filepath.Glob(file + ".*Z")
	if err != nil || len(copies) != 2 {
		t.Fatalf("Glob(keyset.*) = %v, %v, want 2 copies", copies, err)
	}
	if kept, err := os.ReadFile(copies[0]); err != nil || !bytes.Equal(kept, old) {
		t.Errorf("first copy = %d bytes, %v, want the first keyset", len(kept), err)
	}
	// The prepared keyset opens what the rotated one seals: processes can restart in any order.
	if _, err := sealerOf(t, copies[1]).Open(sealed(t, file), "ord_1"); err != nil {
		t.Errorf("the prepared keyset does not open what the rotated one sealed: %v", err)
	}
	if all, err := os.ReadDir(dir); err != nil || len(all) != 3 {
		t.Errorf("files in the folder = %d, %v, want the keyset and 2 copies", len(all), err)
	}
}

// No way to write the output over the keyset goes unnoticed, and only the shell can empty it.
func TestRotateKeysetOntoItself(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"$dcvaas admin rotate-keyset >keyset":                            "restore it from a copy",
		"$dcvaas admin rotate-keyset >>keyset":                           "--in-place",
		"ln -s keyset link; $dcvaas admin rotate-keyset >>link":          "--in-place",
		"ln keyset other; $dcvaas admin rotate-keyset --prepare >>other": "--in-place",
		"DCVAAS_KEYSET=x $dcvaas admin rotate-keyset --in-place":         "DCVAAS_KEYSET must not be set",
		"DCVAAS_KEYSET_FILE= $dcvaas admin rotate-keyset --in-place":     "must name the keyset file",
		"DCVAAS_KEYSET_FILE= $dcvaas admin rotate-keyset":                "is required",
		"DCVAAS_KEYSET_FILE=gone $dcvaas admin rotate-keyset --in-place": "no such file",
		"$dcvaas admin new-keyset --out keyset":                          "exists",
	} {
		dir := keysetDir(t)
		file := filepath.Join(dir, "keyset")
		old, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		out, err := shell(t, dir, line)
		if err == nil || !strings.Contains(out, want) {
			t.Errorf("%s = %v: %s, want an error with %q", line, err, out, want)
		}
		if strings.Contains(line, " >keyset") {
			continue // the shell has emptied it
		}
		if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, old) {
			t.Errorf("keyset after %s = %d bytes, %v, want it unchanged", line, len(got), err)
		}
	}
}

// Steps that make no sense change nothing.
func TestRotateKeysetRejectsSteps(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"$dcvaas admin rotate-keyset --in-place --reseal":      "omit --in-place",
		"$dcvaas admin rotate-keyset --prepare --remove":       "--remove",
		"$dcvaas admin rotate-keyset --in-place --remove":      "no old keys",
		"$dcvaas admin rotate-keyset --reseal":                 "DCVAAS_DATABASE_URL",
		"DCVAAS_KEYSET=x $dcvaas admin rotate-keyset --reseal": "malformed",
	} {
		dir := keysetDir(t)
		file := filepath.Join(dir, "keyset")
		old, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		out, err := shell(t, dir, "unset DCVAAS_DATABASE_URL; "+line)
		if err == nil || !strings.Contains(out, want) {
			t.Errorf("%s = %v: %s, want an error with %q", line, err, out, want)
		}
		if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, old) {
			t.Errorf("keyset after %s = %d bytes, %v, want it unchanged", line, len(got), err)
		}
	}
}

// Without --in-place, the new keyset goes to a secret store through a pipe.
func TestRotateKeysetToPipe(t *testing.T) {
	t.Parallel()
	dir := keysetDir(t)
	if out, err := shell(t, dir, "$dcvaas admin rotate-keyset | cat >next"); err != nil {
		t.Fatalf("rotate-keyset | cat = %v: %s", err, out)
	}
	if _, err := sealerOf(t, filepath.Join(dir, "next")).Open(sealed(t,
		filepath.Join(dir, "keyset")), "ord_1"); err != nil {
		t.Errorf("the printed keyset does not open what the previous one sealed: %v", err)
	}
}
