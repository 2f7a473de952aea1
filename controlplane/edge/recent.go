package edge

import (
	"sync"
	"time"
)

// recent is a map of recent entries: an entry stays for one to two lives, or until max others
// follow. It is safe for concurrent use.
type recent[V any] struct {
	life time.Duration
	max  int

	mu         sync.Mutex
	turned     time.Time // when young became old
	young, old map[string]V
}

func (r *recent[V]) get(key string, now time.Time) (V, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn(now)
	v, ok := r.young[key]
	if !ok {
		v, ok = r.old[key]
	}
	return v, ok
}

func (r *recent[V]) put(key string, v V, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn(now)
	if r.young == nil {
		r.young = make(map[string]V)
	}
	r.young[key] = v
}

func (r *recent[V]) drop(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.young, key)
	delete(r.old, key)
}

// turn drops the older half when its life is over or the younger half is full.
func (r *recent[V]) turn(now time.Time) {
	switch since := now.Sub(r.turned); {
	case since >= 2*r.life:
		r.young, r.old = nil, nil
	case since >= r.life || len(r.young) >= r.max:
		r.young, r.old = nil, r.young
	default:
		return
	}
	r.turned = now
}
