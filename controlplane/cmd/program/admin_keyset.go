package program

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/seal"
)

// keysetFile is the variable that names the file with the keyset.
const keysetFile = "DCVAAS_KEYSET_FILE"

type newKeysetCommand struct {
	Out string `placeholder:"FILE" help:"File to create, readable only by its owner. An existing file is never replaced. Default: print the keyset."`
}

// Run prints a keyset, or writes it to a new file.
func (c *newKeysetCommand) Run(r *run) error {
	keyset, err := seal.New()
	if err != nil {
		return err
	}
	if c.Out != "" {
		return createFile(c.Out, append(keyset, '\n'), 0o600)
	}
	_, err = fmt.Fprintln(r.stdout, string(keyset))
	return err
}

type rotateKeysetCommand struct {
	Keyset   string `env:"DCVAAS_KEYSET" placeholder:"JSON" help:"Current keyset. A secret."`
	Database string `name:"database-url" env:"DCVAAS_DATABASE_URL" placeholder:"URL" help:"Postgres URL, for --reseal and --remove. A secret."`
	InPlace  bool   `help:"Replace the file that DCVAAS_KEYSET_FILE names, and keep a copy next to it. Default: print the new keyset."`
	Prepare  bool   `xor:"step" help:"Step 1: only add the key, so that every process can open data before one of them seals with it. The next rotation uses this key."`
	Reseal   bool   `xor:"step" help:"Step 3: seal all data in the database with the primary key. It can be interrupted and repeated while all processes run."`
	Remove   bool   `xor:"step" help:"Step 4: remove the old keys from the keyset, if nothing in the database needs them. Default: step 2, make the prepared key the primary key."`
}

// Run prints the keyset of the next step, or replaces its file. With Reseal, it changes only data.
func (c *rotateKeysetCommand) Run(r *run) error {
	file := ""
	if _, set := os.LookupEnv("DCVAAS_KEYSET"); !set {
		file = os.Getenv(keysetFile)
	}
	switch {
	case writesTo(r.stdout, file):
		return fmt.Errorf("the output is the keyset file %s itself, which the shell empties before "+
			"the command starts: restore it from a copy, then use --in-place", file)
	case c.InPlace && file == "":
		return fmt.Errorf("--in-place: %s must name the keyset file, and DCVAAS_KEYSET must not "+
			"be set", keysetFile)
	case c.InPlace && c.Reseal:
		return errors.New("--reseal changes no keyset: omit --in-place")
	case c.Keyset == "":
		return errNoKeyset
	case c.Reseal:
		return c.reseal(r)
	}
	keyset, err := c.next(r)
	if err != nil {
		return err
	}
	if !c.InPlace {
		_, err = fmt.Fprintln(r.stdout, string(keyset))
		return err
	}
	kept, err := replaceFile(file, append(keyset, '\n'))
	if err == nil {
		_, err = fmt.Fprintf(r.stdout, "Replaced %s. The previous keyset is in %s.\n", file, kept)
	}
	return err
}

// next returns the keyset of the next step.
func (c *rotateKeysetCommand) next(r *run) ([]byte, error) {
	switch {
	case c.Prepare:
		return seal.Prepare([]byte(c.Keyset))
	case c.Remove:
		return c.withoutOldKeys(r)
	}
	return seal.Rotate([]byte(c.Keyset))
}

// writesTo reports whether w writes to the file at path.
func writesTo(w io.Writer, path string) bool {
	out, ok := w.(*os.File)
	if !ok || path == "" {
		return false
	}
	written, err := out.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(written, named)
}

// replaceFile replaces the contents of the file at path atomically, and returns the path of a copy
// of the previous contents. The new file has the mode and the owner of the previous one. After an
// error, the file is unchanged.
func replaceFile(path string, contents []byte) (kept string, err error) {
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	old, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	kept = path + "." + time.Now().UTC().Format("20060102T150405.000000Z")
	next := kept + ".new"
	if err := errors.Join(createFile(kept, old, info.Mode().Perm()),
		createFile(next, contents, info.Mode().Perm())); err != nil {
		return "", err
	}
	if err = errors.Join(sameOwner(info, kept), sameOwner(info, next)); err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		return "", errors.Join(err, os.Remove(next))
	}
	return kept, syncDir(filepath.Dir(path))
}

// createFile creates a file with the contents on the disk. It returns an error if the file exists.
func createFile(path string, contents []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(contents)
	return errors.Join(err, f.Sync(), f.Close())
}

// sameOwner gives the file at path the owner in info.
func sameOwner(info os.FileInfo, path string) error {
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return os.Chown(path, int(owner.Uid), int(owner.Gid))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
