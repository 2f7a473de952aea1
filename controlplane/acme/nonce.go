package acme

import (
	"sync"
	"time"
)

const (
	// maxNonces exceeds the number of nonces that one process's runs can use at a time.
	maxNonces = 256
	// nonceLife is how long a nonce is kept. CAs expire them.
	nonceLife = 5 * time.Minute
)

// nonces holds a CA's unused nonces (RFC 8555 §6.5), shared by all sessions with it. The newest is
// used first, and the oldest are dropped when there are too many.
type nonces struct {
	mu    sync.Mutex
	stack []nonce
}

type nonce struct {
	value string
	at    time.Time
}

func (n *nonces) push(value string, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.stack) == maxNonces {
		n.stack = append(n.stack[:0], n.stack[maxNonces/2:]...)
	}
	n.stack = append(n.stack, nonce{value, now})
}

func (n *nonces) pop(now time.Time) (string, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.stack) == 0 {
		return "", false
	}
	newest := n.stack[len(n.stack)-1]
	if now.Sub(newest.at) > nonceLife {
		n.stack = n.stack[:0]
		return "", false
	}
	n.stack = n.stack[:len(n.stack)-1]
	return newest.value, true
}

// clear drops all nonces, after a CA rejected one: it may have restarted.
func (n *nonces) clear() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stack = n.stack[:0]
}
