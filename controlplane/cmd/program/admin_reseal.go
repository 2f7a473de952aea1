package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/seal"
)

// keysetLabel returns the label of a process's sessions in Postgres: the IDs of the primary and the
// newest key of its keyset, which are not secret. It is empty for a process without a keyset.
func keysetLabel(c *Config, parts Parts) string {
	if !parts.Serve && !parts.Work {
		return ""
	}
	keys, err := seal.KeysOf([]byte(c.Keyset))
	if err != nil {
		return "" // reported when the keyset is opened
	}
	return keys.Primary.String() + "-" + keys.Newest.String()
}

// keysetUsers are the other processes with a keyset that are connected to the database.
type keysetUsers struct {
	primary, newest []string // IDs of their keys
	unknown         int      // of versions that do not show their keys
}

func usersOf(ctx context.Context, store *postgres.Store) (keysetUsers, error) {
	labels, err := store.Labels(ctx)
	var u keysetUsers
	for _, label := range labels {
		primary, newest, ok := strings.Cut(label, "-")
		switch {
		case ok:
			u.primary, u.newest = append(u.primary, primary), append(u.newest, newest)
		case label == postgres.Unlabeled:
			u.unknown++
		}
	}
	return u, err
}

// errUnknownKeys says that the keys of running processes are unknown.
func (u keysetUsers) errUnknownKeys() error {
	return fmt.Errorf("%s of an earlier version: update all processes first",
		countOf(u.unknown, "connected process is", "connected processes are"))
}

// reseal seals all data with the primary key of the keyset.
func (c *rotateKeysetCommand) reseal(r *run) error {
	keys, sealer, store, err := c.open(r)
	if err != nil {
		return err
	}
	defer store.Close()
	users, err := usersOf(r.ctx, store)
	if err != nil {
		return forPeople(err)
	}
	if err := users.canOpen(keys.Primary); err != nil {
		return err
	}
	progress := &resealProgress{out: r.stdout}
	result, err := store.Reseal(r.ctx, postgres.Reseal{Prefix: keys.Primary.Prefix(),
		Seal: func(sealed []byte, owners []string) ([]byte, error) {
			return resealed(sealer, sealed, owners)
		}, Progress: progress.show})
	if err != nil {
		return fmt.Errorf("%w\nResealed %s before. Repeat the command to continue", forPeople(err),
			countOf(progress.values, "value", "values"))
	}
	left, err := inUse(r.ctx, store, func(id seal.KeyID) bool { return id != keys.Primary })
	if err != nil {
		return forPeople(err)
	}
	if _, err := fmt.Fprintf(r.stdout, "Resealed %s with the key %s.\n",
		countOf(result.Values, "value", "values"), keys.Primary); err != nil {
		return err
	}
	if len(result.Failed) > 0 {
		return fmt.Errorf("the keyset can't open %s, which keep their keys in use: %s",
			countOf(len(result.Failed), "value", "values"), shortened(result.Failed))
	}
	if len(left) == 0 {
		return nil
	}
	return fmt.Errorf("running processes have sealed more data with other keys: restart them with the keyset whose primary key is %s, then repeat the command\n%s",
		keys.Primary, strings.Join(left, "\n"))
}

// canOpen returns an error if a process may lack the key with which data is to be sealed.
func (u keysetUsers) canOpen(id seal.KeyID) error {
	if u.unknown > 0 {
		return u.errUnknownKeys()
	}
	lacking := 0
	for i := range u.primary {
		if u.primary[i] != id.String() && u.newest[i] != id.String() {
			lacking++
		}
	}
	if lacking > 0 {
		return fmt.Errorf("%s without the key %s, and could not open the resealed data: restart them with the current keyset first",
			countOf(lacking, "connected process runs", "connected processes run"), id)
	}
	return nil
}

// withoutOldKeys returns the keyset without its old keys. It returns an error if data or a process
// needs one of them.
func (c *rotateKeysetCommand) withoutOldKeys(r *run) ([]byte, error) {
	keyset, removed, err := seal.Remove([]byte(c.Keyset))
	if err != nil {
		return nil, err
	}
	if len(removed) == 0 {
		return nil, errors.New("the keyset has no old keys")
	}
	_, _, store, err := c.open(r)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	// Before the data is counted, because a process with an old primary key adds more.
	users, err := usersOf(r.ctx, store)
	if err != nil {
		return nil, forPeople(err)
	}
	if users.unknown > 0 {
		return nil, users.errUnknownKeys()
	}
	old := func(id seal.KeyID) bool { return slices.Contains(removed, id) }
	sealing := 0
	for _, id := range removed {
		for _, primary := range users.primary {
			if primary == id.String() {
				sealing++
			}
		}
	}
	if sealing > 0 {
		return nil, fmt.Errorf("%s with an old key: restart them with the current keyset, then run dcvaas admin rotate-keyset --reseal",
			countOf(sealing, "connected process seals", "connected processes seal"))
	}
	left, err := inUse(r.ctx, store, old)
	if err != nil {
		return nil, forPeople(err)
	}
	if len(left) > 0 {
		return nil, fmt.Errorf("old keys are in use; run dcvaas admin rotate-keyset --reseal first\n%s",
			strings.Join(left, "\n"))
	}
	// A process that is started later with an outdated keyset must not seal with a removed key.
	canaries := map[string][]byte{}
	for _, id := range removed {
		canaries[removedKey+id.String()] = []byte{}
	}
	return keyset, forPeople(store.AddCanaries(r.ctx, canaries))
}

// open opens the keyset and the database.
func (c *rotateKeysetCommand) open(r *run) (seal.Keys, *seal.Sealer, *postgres.Store, error) {
	keys, err := seal.KeysOf([]byte(c.Keyset))
	if err != nil {
		return keys, nil, nil, fmt.Errorf("keyset (DCVAAS_KEYSET): %w", err)
	}
	sealer, err := seal.Open([]byte(c.Keyset))
	if err != nil {
		return keys, nil, nil, fmt.Errorf("keyset (DCVAAS_KEYSET): %w", err)
	}
	if c.Database == "" {
		return keys, nil, nil, errNoDatabase
	}
	store, err := postgres.Open(r.ctx, postgres.Config{DSN: c.Database})
	return keys, sealer, store, err
}

// resealed returns data sealed with the primary key, with the same associated data. It tries the
// owners in their order.
func resealed(sealer *seal.Sealer, sealed []byte, owners []string) ([]byte, error) {
	err := seal.ErrOpen
	for _, owner := range owners {
		var plain []byte
		if plain, err = sealer.Open(sealed, owner); err == nil {
			return sealer.Seal(plain, owner)
		}
	}
	return nil, err
}

// inUse returns a line for each column with data that keys have sealed for which is returns true.
func inUse(ctx context.Context, store *postgres.Store, is func(seal.KeyID) bool) ([]string, error) {
	all, err := store.SealedWith(ctx)
	var lines []string
	for _, one := range all {
		if id, ok := seal.KeyOf(one.Prefix); ok && is(id) {
			lines = append(lines, fmt.Sprintf("  key %s: %s in %s.%s", id,
				countOf(one.Count, "value", "values"), one.Table, one.Column))
		}
	}
	return lines, err
}

// resealProgress prints the progress of Store.Reseal.
type resealProgress struct {
	out    io.Writer
	values int // of completed tables and of the current one
	table  string
	rows   int
	count  int
	shown  time.Time
}

// progressEvery is the time between two lines about a table.
const progressEvery = 5 * time.Second

func (p *resealProgress) show(table string, rows, resealed int) {
	if table != p.table || rows < p.rows {
		p.table, p.count, p.shown = table, 0, time.Now()
	}
	p.values += resealed - p.count
	p.rows, p.count = rows, resealed
	if time.Since(p.shown) >= progressEvery {
		p.shown = time.Now()
		_, _ = fmt.Fprintf(p.out, "%s: %d rows read, %d values resealed\n", table, rows, resealed)
	}
}

// shownFailures is how many values that can't be opened an error names.
const shownFailures = 5

func shortened(all []string) string {
	text := strings.Join(all[:min(len(all), shownFailures)], ", ")
	if len(all) > shownFailures {
		text += ", …"
	}
	return text
}

func countOf(n int, one, several string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, several)
}
