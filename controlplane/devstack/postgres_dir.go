package devstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// dataDir is a Postgres data directory, which may not exist yet.
type dataDir struct {
	// path contains no symbolic links.
	path string
	// owner is the user that runs the server. Nil means the current user.
	owner *syscall.Credential
	// temporary is the directory to delete at the end, or "".
	temporary string
}

// openDataDir determines the location of the data directory for dir, and the user that runs its
// server. It creates the parent directories, but not the directory itself.
func openDataDir(dir string, bin postgresPrograms) (dataDir, error) {
	if dir == "" {
		return elsewhere(bin, []string{os.TempDir(), "/tmp", "/var/tmp"}, true)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return dataDir{}, err
	}
	if path, err := filepath.EvalSymlinks(dir); err == nil {
		if made, err := isDataDir(path); err != nil {
			return dataDir{}, err
		} else if made {
			return openExisting(path, bin)
		}
		// The directory is empty: it is recreated below with the correct owner.
		if err := os.Remove(path); err != nil {
			return dataDir{}, err
		}
	}
	// When /var/tmp has been cleaned, a dangling link remains.
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return dataDir{}, err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return dataDir{}, err
	}
	parent, err := filepath.EvalSymlinks(filepath.Dir(dir))
	if err != nil {
		return dataDir{}, err
	}
	owner, err := serverUser()
	if err != nil {
		return dataDir{}, err
	}
	if canReach(owner, bin, parent) == nil {
		return dataDir{path: filepath.Join(parent, filepath.Base(dir)), owner: owner}, nil
	}
	d, err := elsewhere(bin, []string{"/var/tmp", os.TempDir(), "/tmp"}, false)
	if err != nil {
		return dataDir{}, unreachableError(dir, owner, err)
	}
	return d, os.Symlink(d.path, dir)
}

// openExisting runs the server as the owner of the data, so that root can start a database that an
// unprivileged user created, and that user can still use it afterwards.
func openExisting(path string, bin postgresPrograms) (dataDir, error) {
	info, err := os.Stat(path)
	if err != nil {
		return dataDir{}, err
	}
	stat := info.Sys().(*syscall.Stat_t)
	self := uint32(os.Geteuid())
	switch {
	case self != 0 && stat.Uid != self:
		return dataDir{}, foreignDirError(path, stat.Uid)
	case self != 0:
		return dataDir{path: path}, nil
	case stat.Uid != 0:
		owner := &syscall.Credential{Uid: stat.Uid, Gid: stat.Gid}
		if err := canReach(owner, bin, path); err != nil {
			return dataDir{}, unreachableError(path, owner, err)
		}
		return dataDir{path: path, owner: owner}, nil
	}
	owner, err := serverUser()
	if err != nil {
		return dataDir{}, err
	}
	d := dataDir{path: path, owner: owner}
	return d, d.chown(path)
}

// elsewhere returns a data directory in the first of bases that the server's user can access.
func elsewhere(bin postgresPrograms, bases []string, temporary bool) (dataDir, error) {
	owner, err := serverUser()
	if err != nil {
		return dataDir{}, err
	}
	var failures error
	for _, base := range bases {
		room, err := os.MkdirTemp(base, "dcvaas-postgres-")
		if err == nil {
			err = errors.Join(os.Chmod(room, 0o755), canReach(owner, bin, room))
			if err == nil {
				d := dataDir{path: filepath.Join(room, "data"), owner: owner}
				if temporary {
					d.temporary = room
				}
				return d, nil
			}
			_ = os.Remove(room)
		}
		failures = errors.Join(failures, err)
	}
	return dataDir{}, failures
}

// serverUser returns the user for a new server: nil, or for root, one of the unprivileged users
// that every system has.
func serverUser() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil && uid != 0 {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New(
		"Postgres does not run as root, and neither the user \"postgres\" nor \"nobody\" exists: " +
			"run dcvaas as an unprivileged user")
}

// canReach returns nil if owner can run the server's program with dir as its working directory.
// Only this test covers the modes and access lists of all parent directories.
func canReach(owner *syscall.Credential, bin postgresPrograms, dir string) error {
	cmd := exec.Command(filepath.Join(bin.dir, "postgres"), "--version")
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: owner}
	return cmd.Run()
}

// isDataDir reports whether path contains a database (true) or is an empty directory (false).
// Anything else is an error.
func isDataDir(path string) (bool, error) {
	info, err := os.Stat(path)
	if err != nil {
		return false, err
	}
	if !info.IsDir() {
		return false, fmt.Errorf("%s is not a directory", path)
	}
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrPermission) {
		return false, foreignDirError(path, info.Sys().(*syscall.Stat_t).Uid)
	}
	if err != nil {
		return false, err
	}
	if len(entries) == 0 {
		return false, nil
	}
	if !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == "PG_VERSION" }) {
		return false,
			fmt.Errorf("%s is not empty and contains no Postgres database: use another directory",
				path)
	}
	return true, nil
}

func unreachableError(path string, owner *syscall.Credential, err error) error {
	if owner == nil {
		return fmt.Errorf("running the server in %s: %w", path, err)
	}
	return fmt.Errorf(
		"uid %d, which runs the server, has no access to %s (run `chmod o+x` on the parent directories, or use another directory): %w",
		owner.Uid, path, err)
}

func foreignDirError(path string, uid uint32) error {
	return fmt.Errorf(
		"the database in %s belongs to uid %d, but the current user is uid %d: run as that user, or delete the directory to start over",
		path, uid, os.Geteuid())
}

func (d dataDir) exists() bool {
	_, err := os.Stat(filepath.Join(d.path, "PG_VERSION"))
	return err == nil
}

// choose returns the first installed server with the directory's major version. Postgres can't read
// data of other major versions.
func (d dataDir) choose(installed []postgresPrograms) (postgresPrograms, error) {
	if !d.exists() {
		return installed[0], nil
	}
	version, err := os.ReadFile(filepath.Join(d.path, "PG_VERSION"))
	if err != nil {
		return postgresPrograms{}, err
	}
	made := strings.TrimSpace(string(version))
	for _, bin := range installed {
		if strconv.Itoa(bin.major) == made {
			return bin, nil
		}
	}
	return postgresPrograms{},
		fmt.Errorf("%s was created by PostgreSQL %s, but only %d is installed: install PostgreSQL %s, or delete the directory to start over",
			d.path, made, installed[0].major, made)
}

// create creates the database in a temporary directory next to its final path and then renames it,
// so that an interrupted start leaves nothing that looks like a database.
func (d dataDir) create(ctx context.Context, bin postgresPrograms, log io.Writer) error {
	unfinished, verifier := d.path+".new", d.path+".new-verifier"
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	password, err := d.initPassword(verifier)
	if err != nil {
		return err
	}
	defer os.Remove(verifier)
	// macOS has C.UTF-8 only since version 15.
	for _, locale := range []string{"--locale=C.UTF-8", "--no-locale"} {
		if err := os.Mkdir(unfinished, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := d.chown(unfinished); err != nil {
			return err
		}
		initdb := exec.Command(filepath.Join(bin.dir, "initdb"),
			"-D", unfinished, "-U", "postgres", "-A", "scram-sha-256", "--pwfile", verifier, "-E",
			"UTF8", locale, "--no-sync")
		initdb.Dir = unfinished
		process, err := startChild(initdb, d.owner, syscall.SIGKILL, log)
		if err != nil {
			return err
		}
		if process.wait(ctx) == nil {
			if err := d.write(filepath.Join(unfinished, passwordFile), password); err != nil {
				return err
			}
			return os.Rename(unfinished, d.path)
		}
		if ctx.Err() != nil || !strings.Contains(process.tail.String(), "invalid locale") {
			return errors.Join(process.failure(), os.RemoveAll(unfinished))
		}
	}
	return errors.New("initdb supports neither the locale C.UTF-8 nor C")
}

// chown changes the owner of path and everything below it to the server's user.
func (d dataDir) chown(path string) error {
	if d.owner == nil {
		return nil
	}
	return filepath.WalkDir(path, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(d.owner.Uid), int(d.owner.Gid))
	})
}

// discard deletes a temporary directory. It does nothing for others.
func (d dataDir) discard() error {
	if d.temporary == "" {
		return nil
	}
	return os.RemoveAll(d.temporary)
}
