package dnscheck

import "sync"

// once computes a value once. Unlike sync.Once, it lets a synctest bubble see that a goroutine
// waits for another one that queries.
type once[T any] struct {
	mu    sync.Mutex
	done  chan struct{}
	value T
}

// get returns the value. The first caller computes it, and the others wait.
func (o *once[T]) get(compute func() T) T {
	o.mu.Lock()
	if done := o.done; done != nil {
		o.mu.Unlock()
		<-done
		return o.value
	}
	o.done = make(chan struct{})
	o.mu.Unlock()
	defer close(o.done)
	o.value = compute()
	return o.value
}
