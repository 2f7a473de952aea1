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

// dataDir is a Postgres data directory, made or still to be made.
type dataDir struct {
	// path holds no symbolic link.
	path string
	// owner runs the server. Nil means the user that we are.
	owner *syscall.Credential
	// temporary is the directory to remove at the end, or "".
	temporary string
}

// openDataDir decides where the data directory for dir lies and who runs its server. It makes the parent directories, not the
// directory itself.
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
		// Empty: it is made anew below, by its right owner.
		if err := os.Remove(path); err != nil {
			return dataDir{}, err
		}
	}
	// A link that leads nowhere stays behind when /var/tmp has been cleaned.
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

// openExisting gives the server to the owner of the data, so that root can start what an ordinary user made, and the user
// still has it afterwards.
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

// elsewhere returns a data directory below the first of bases that the server's user can reach.
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

// serverUser returns the user to run a new server as: nil, or for root one of the users without rights that every system has.
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
	return nil, errors.New("the server does not run as root, and there is neither a user \"postgres\" nor \"nobody\" to run it as: " +
		"run as an ordinary user")
}

// canReach tries whether owner can run the server's program with dir as its working directory: the one test that knows about
// every parent's mode and every access list.
func canReach(owner *syscall.Credential, bin postgresPrograms, dir string) error {
	cmd := exec.Command(filepath.Join(bin.dir, "postgres"), "--version")
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: owner}
	return cmd.Run()
}

// isDataDir reports whether path holds a database (true), or is an empty directory (false). All else is an error.
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
		return false, fmt.Errorf("%s holds other things than a Postgres database: name another directory", path)
	}
	return true, nil
}

func unreachableError(path string, owner *syscall.Credential, err error) error {
	if owner == nil {
		return fmt.Errorf("cannot run the server in %s: %w", path, err)
	}
	return fmt.Errorf("uid %d, which runs the server, cannot reach %s (let it in by `chmod o+x` on the parents, or name another directory): %w",
		owner.Uid, path, err)
}

func foreignDirError(path string, uid uint32) error {
	return fmt.Errorf("the database in %s belongs to uid %d and we are uid %d: run as that user, or remove the directory to begin anew",
		path, uid, os.Geteuid())
}

func (d dataDir) exists() bool {
	_, err := os.Stat(filepath.Join(d.path, "PG_VERSION"))
	return err == nil
}

// choose returns the first of the installed servers that can run on this directory: a major version reads no other's data.
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
	return postgresPrograms{}, fmt.Errorf("%s was made by PostgreSQL %s, and only %d is installed: install PostgreSQL %s, or remove the directory to begin anew",
		d.path, made, installed[0].major, made)
}

// create makes the database. It is made beside its place and then moved there, so that a start that is killed in the middle
// leaves nothing that looks like a database.
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
	// macOS has no C.UTF-8 before version 15.
	for _, locale := range []string{"--locale=C.UTF-8", "--no-locale"} {
		if err := os.Mkdir(unfinished, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := d.chown(unfinished); err != nil {
			return err
		}
		initdb := exec.Command(filepath.Join(bin.dir, "initdb"),
			"-D", unfinished, "-U", "postgres", "-A", "scram-sha-256", "--pwfile", verifier, "-E", "UTF8", locale, "--no-sync")
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
	return errors.New("initdb knows neither the locale C.UTF-8 nor C")
}

// chown gives path and all below it to the server's user.
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

// discard removes a temporary directory, and does nothing to any other.
func (d dataDir) discard() error {
	if d.temporary == "" {
		return nil
	}
	return os.RemoveAll(d.temporary)
}
