package api

import (
	"bufio"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// BenchmarkListeners opens 2,000 streams on one process. It measures the time from before an event
// is written until the last stream has received it, and the memory of a stream on both sides.
func BenchmarkListeners(b *testing.B) {
	const listeners = 2000
	w := newBenchWorld(b)
	d := w.newDomain(w.org, "listeners.example.com")
	before := memory()
	var ready, told sync.WaitGroup
	ready.Add(listeners)
	for range listeners {
		go func() {
			conn, err := net.Dial("tcp", strings.TrimPrefix(w.server.URL, "http://"))
			if err != nil {
				b.Error(err)
				return
			}
			b.Cleanup(func() { _ = conn.Close() })
			_, _ = fmt.Fprintf(conn,
				"GET /api/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nAccept: text/event-stream\r\n\r\n", w.token)
			in := bufio.NewReaderSize(conn, 512)
			for {
				line, err := in.ReadSlice('\n')
				switch {
				case err != nil && err != bufio.ErrBufferFull: //nolint:errorlint // bufio's own
					return
				case strings.HasPrefix(string(line), "retry:"):
					ready.Done()
				case strings.HasPrefix(string(line), "id:"):
					told.Done()
				}
			}
		}()
	}
	ready.Wait()
	each := (memory() - before) / listeners / 1024
	for b.Loop() {
		told.Add(listeners)
		w.logEntry(controlplane.ActionCheckRequested, d.ID, time.Now())
		told.Wait()
	}
	b.ReportMetric(each, "kB/stream")
}

func memory() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapInuse + m.StackInuse)
}

// BenchmarkAppend compares a log entry with one without the floor for event readers, and one
// without notification.
func BenchmarkAppend(b *testing.B) {
	w := newBenchWorld(b)
	for _, c := range []struct{ name, sql string }{
		{"all", `SELECT 1`},
		{"no floor", `DROP TRIGGER audit_logs_hold_floor ON audit_logs`},
		{"no floor, no notice", `DROP TRIGGER audit_logs_notify ON audit_logs`},
	} {
		w.exec(c.sql)
		b.Run(c.name, func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					w.logEntry(controlplane.ActionCheckRequested, "dom_x", time.Now())
				}
			})
		})
	}
}
