package program

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func readText(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(repository, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestDeployImagesArePinned tests that images have exact versions or digests, so that deployments
// use the tested images.
func TestDeployImagesArePinned(t *testing.T) {
	t.Parallel()
	images := regexp.MustCompile(`(?m)^(?:FROM|\s+image:) +(\S+)`)
	exact := map[string]*regexp.Regexp{
		"golang": regexp.MustCompile(`^golang:\d+\.\d+\.\d+-[a-z]+(@sha256:[0-9a-f]{64})?$`),
		"redis":  regexp.MustCompile(`^redis:\d+\.\d+\.\d+-[a-z]+(@sha256:[0-9a-f]{64})?$`),
		// has no patch version
		"postgres": regexp.MustCompile(`^postgres:\d\d\.\d+-[a-z]+(@sha256:[0-9a-f]{64})?$`),
	}
	found := 0
	for _, file := range []string{"controlplane/deploy/Dockerfile",
		"controlplane/deploy/compose.yaml"} {
		for _, m := range images.FindAllStringSubmatch(readText(t, file), -1) {
			image := m[1]
			if image == "scratch" || image == "dcvaas" { // empty, and built here
				continue
			}
			name, _, _ := strings.Cut(image, ":")
			if found++; exact[name] == nil || !exact[name].MatchString(image) {
				t.Errorf("%s: the image %s is not pinned to an exact version", file, image)
			}
		}
	}
	if found != len(exact) {
		t.Errorf("found %d images, want %d", found, len(exact))
	}
	minor := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(readText(t, "go.mod"))[1]
	if !strings.Contains(readText(t, "controlplane/deploy/Dockerfile"), "FROM golang:"+minor+".") {
		t.Errorf("the Dockerfile does not build with Go %s, which go.mod requires", minor)
	}
}

// TestDeployStopTimes tests that deployments wait for a complete shutdown before they kill the
// process.
func TestDeployStopTimes(t *testing.T) {
	t.Parallel()
	var c Config
	must(t, kong.ApplyDefaults(&c))
	for file, pattern := range map[string]string{
		"controlplane/deploy/systemd/dcvaas-serve.service": `(?m)^TimeoutStopSec=(\w+)$`,
		"controlplane/deploy/systemd/dcvaas-work.service":  `(?m)^TimeoutStopSec=(\w+)$`,
		"controlplane/deploy/systemd/dcvaas-dns.service":   `(?m)^TimeoutStopSec=(\w+)$`,
		"controlplane/deploy/compose.yaml":                 `(?m)^    stop_grace_period: (\w+)$`,
	} {
		m := regexp.MustCompile(pattern).FindStringSubmatch(readText(t, file))
		if m == nil {
			t.Errorf("%s has no stop time", file)
			continue
		}
		if got, err := time.ParseDuration(m[1]); err != nil || got <= c.stopTime() {
			t.Errorf("stop time in %s = %s, %v, want more than %s", file, m[1], err, c.stopTime())
		}
	}
	if guide := readText(t, selfHosting); !strings.Contains(guide,
		"within "+strconv.Itoa(int(c.stopTime().Seconds()))+" s") {
		t.Errorf("%s does not state the stop time, %s", selfHosting, c.stopTime())
	}
}

// TestDeploySecretsAreIgnored tests that Git and the image build ignore the secrets of a
// deployment.
func TestDeploySecretsAreIgnored(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	git := func(args ...string) error {
		return exec.Command("git", append([]string{"-C", dir},
			args...)...).Run()
	}
	must(t, git("init", "-q"))
	must(t, os.WriteFile(filepath.Join(dir, ".gitignore"), []byte(readText(t, ".gitignore")),
		0o600))
	for _, file := range []string{"controlplane/deploy/secrets/keyset", "controlplane/deploy/.env",
		".env", "dcvaas.env", "secret-key", "keyset", "keyset.20261129T100000.000000Z", "shop.key",
		"examples/team/shop.key", "terraform-token", "plan.bin", ".dcvaas/shop.key"} {
		if git("check-ignore", "-q", file) != nil {
			t.Errorf("git does not ignore %s", file)
		}
	}
	for _, file := range []string{"controlplane/deploy/compose.yaml", "controlplane/seal/keyset.go"} {
		if git("check-ignore", "-q", file) == nil {
			t.Errorf("git ignores %s", file)
		}
	}
	ignored := readText(t, "controlplane/deploy/Dockerfile.dockerignore")
	for _, line := range []string{"controlplane/deploy/secrets", "**/.env", "secret-key",
		"keyset", "keyset.[0-9]*", "**/*.key", "terraform-token"} {
		if !strings.Contains("\n"+ignored, "\n"+line+"\n") {
			t.Errorf("Dockerfile.dockerignore lacks %s", line)
		}
	}
}

// TestDeploySecretsAreWrittenPrivately tests that all documented commands that write a secret to a
// file set the umask first, so that only the owner can ever read the file.
func TestDeploySecretsAreWrittenPrivately(t *testing.T) {
	t.Parallel()
	writes := regexp.MustCompile(
		`>\s*\S*(secret-key|keyset|database-url|postgres-password|staff-login|\.env\b)`)
	var files []string
	for _, top := range []string{"README.md", "controlplane/deploy", "provider/templates/guides"} {
		must(t, filepath.WalkDir(filepath.Join(repository, top),
			func(path string, d fs.DirEntry, err error) error {
				if err == nil && !d.IsDir() {
					files = append(files, path)
				}
				return err
			}))
	}
	found := 0
	for _, file := range files {
		b, err := os.ReadFile(file)
		must(t, err)
		private := false
		for n, line := range strings.Split(string(b), "\n") {
			private = private || strings.Contains(line, "umask 077")
			if !writes.MatchString(line) {
				continue
			}
			if found++; !private {
				t.Errorf("%s:%d writes a secret before umask 077: %s", file, n+1, line)
			}
		}
	}
	if found < 8 {
		t.Errorf("found %d lines that write a secret, want at least 8", found)
	}
}

// TestDeployComposeCommands tests that the commands in the compose file create no files that others
// can read, even before the chmod.
func TestDeployComposeCommands(t *testing.T) {
	t.Parallel()
	text := readText(t, "controlplane/deploy/compose.yaml")
	_, commands, ok := strings.Cut(text, "#   cd controlplane/deploy && ")
	commands, _, ok2 := strings.Cut(commands, "#   docker compose up")
	if !ok || !ok2 {
		t.Fatal("the commands at the top of compose.yaml were not found")
	}
	commands = regexp.MustCompile(`(?m)^#   `).ReplaceAllString(commands, "")
	commands = regexp.MustCompile(`(?m)^chmod .*$`).ReplaceAllString(commands, "")
	dir, bin := t.TempDir(), t.TempDir()
	must(t, os.WriteFile(filepath.Join(bin, "docker"), []byte("#!/bin/sh\necho keyset\n"), 0o700)) //nolint:gosec // a program
	sh := exec.Command("sh", "-euc", commands)
	sh.Dir, sh.Env = dir, append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
	if out, err := sh.CombinedOutput(); err != nil {
		t.Fatalf("commands of compose.yaml: %v: %s\n%s", err, out, commands)
	}
	files := 0
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if files++; info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %o, want no permissions for others", d.Name(), info.Mode().Perm())
		}
		return nil
	}))
	if files != 7 { // secrets/, its five files, and .env
		t.Errorf("the commands wrote %d files, want 7", files)
	}
	if !strings.Contains(text, "DCVAAS_TRUSTED_PROXY: ${DCVAAS_TRUSTED_PROXY:-true}") ||
		!strings.Contains(text, `"127.0.0.1:8080:8080"`) {
		t.Error("compose.yaml must set DCVAAS_TRUSTED_PROXY, because it expects a proxy, and publish port 8080 only on loopback")
	}
}
