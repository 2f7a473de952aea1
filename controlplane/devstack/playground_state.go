package devstack

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

// playgroundSaver writes the records to a file soon after each change, many changes at once
// where they come faster than the file can be written.
type playgroundSaver struct {
	store *playgroundStore
	path  string
	quit  chan struct{}
	done  chan error
}

func startPlaygroundSaver(store *playgroundStore, path string, log *slog.Logger) *playgroundSaver {
	s := &playgroundSaver{store: store, path: path, quit: make(chan struct{}), done: make(chan error, 1)}
	go func() {
		for {
			select {
			case <-store.changed:
				if err := store.save(path); err != nil {
					log.Error("playground records were not saved", "error", err)
				}
				select { // a burst of changes is one write
				case <-time.After(20 * time.Millisecond):
				case <-s.quit:
				}
			case <-s.quit:
				s.done <- store.save(path)
				return
			}
		}
	}()
	return s
}

// stop saves a last time. It is called once.
func (s *playgroundSaver) stop() error {
	close(s.quit)
	return <-s.done
}

// load reads what save wrote. A file that is not there is an empty playground.
func (s *playgroundStore) load(path string) error {
	raw, err := os.ReadFile(path) // the caller names the file
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var sets []RecordSet
	if err := json.Unmarshal(raw, &sets); err != nil {
		return fmt.Errorf("%s is damaged, remove it to start with no records: %w", path, err)
	}
	for _, set := range sets {
		if _, err := s.set(set.Name, set.Type, set.Values, set.TTL); err != nil {
			return fmt.Errorf("%s: %s %s: %w", path, set.Name, set.Type, err)
		}
	}
	return nil
}

// save writes the records so that a crash leaves either the old file or the new one.
func (s *playgroundStore) save(path string) error {
	raw, err := json.MarshalIndent(s.list(), "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(append(raw, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
