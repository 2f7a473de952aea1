package devstack

import (
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// embeddedRedis is miniredis with a clock, because miniredis does not expire keys automatically.
type embeddedRedis struct {
	server *miniredis.Miniredis
	once   sync.Once
	stop   chan struct{}
	done   chan struct{}
}

func startEmbeddedRedis(port int, password string) (*Redis, error) {
	server := miniredis.NewMiniRedis()
	server.RequireAuth(password)
	if err := server.StartAddr(net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err != nil {
		return nil, err
	}
	e := &embeddedRedis{server: server, stop: make(chan struct{}), done: make(chan struct{})}
	go e.run()
	return &Redis{addr: server.Addr(), password: password, embedded: e}, nil
}

// run advances the server's clock by the elapsed time about every second, until stop is closed.
func (e *embeddedRedis) run() {
	defer close(e.done)
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-e.stop:
			e.server.Close()
			return
		case now := <-ticker.C:
			e.server.FastForward(now.Sub(last))
			last = now
		}
	}
}

func (e *embeddedRedis) close() {
	e.once.Do(func() { close(e.stop) })
	<-e.done
}
