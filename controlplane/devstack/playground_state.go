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

// playgroundSaver writes the records to a file soon after each change. It combines changes that
// arrive faster than the file can be written.
type playgroundSaver struct {
	store *playgroundStore
	path  string
	quit  chan struct{}
	done  chan error
}

func startPlaygroundSaver(store *playgroundStore, path string, log *slog.Logger) *playgroundSaver {
	s := &playgroundSaver{store: store, path: path, quit: make(chan struct{}),
		done: make(chan error, 1)}
	go func() {
		for {
			select {
			case <-store.changed:
				if err := store.save(path); err != nil {
					log.Error("saving the playground records failed", "error", err)
				}
				select { // combine a burst of changes into one write
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

// stop saves a last time. It must be called only once.
func (s *playgroundSaver) stop() error {
	close(s.quit)
	return <-s.done
}

// load reads the file that save wrote. A missing file means an empty playground.
func (s *playgroundStore) load(path string) error {
	raw, err := os.ReadFile(path) // the path is configured
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var sets []RecordSet
	if err := json.Unmarshal(raw, &sets); err != nil {
		return fmt.Errorf("%s is damaged; remove it to start without records: %w", path, err)
	}
	for _, set := range sets {
		if _, err := s.set(set.Name, set.Type, set.Values, set.TTL); err != nil {
			return fmt.Errorf("%s: %s %s: %w", path, set.Name, set.Type, err)
		}
	}
	return nil
}

// save writes the records atomically: a crash leaves either the old or the new file.
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
