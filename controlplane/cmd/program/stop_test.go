package program

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"
)

// delayed is in front of a CA that processes new orders at once, and sends the responses only when
// it is opened.
type delayed struct {
	placed chan struct{} // receives a value for each order that waits for its response
	opened chan struct{}
}

func (d *delayed) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.Path, "/order-plz") {
			next.ServeHTTP(w, r)
			return
		}
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		if rec.Code == http.StatusCreated {
			d.placed <- struct{}{}
			<-d.opened
		}
		maps.Copy(w.Header(), rec.Header())
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	})
}

// TestWorkerTerminated stops a worker with SIGTERM while a CA has placed its orders and not
// responded yet. The worker records the responses although they take longer than the lease, and the
// next worker resumes the same orders.
func TestWorkerTerminated(t *testing.T) {
	t.Parallel()
	const n = 6 // less than the worker's concurrency
	late := &delayed{placed: make(chan struct{}, 2*n), opened: make(chan struct{})}
	s := startStack(t, DevConfig{EmbeddedRedis: true, NoWork: true,
		WrapCA: func(ca string) func(http.Handler) http.Handler {
			if ca == "primary" {
				return late.wrap
			}
			return nil
		}})
	first := s.startWorker()
	var ids []string
	for i := range n {
		ids = append(ids, s.add(fmt.Sprintf("stopped%d.example.com", i)).Id)
	}
	for range n {
		<-late.placed
	}
	if err := first.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.startWorker()
	time.Sleep(s.Config.Work.Lease + time.Second)
	close(late.opened)
	<-first.done
	if code := first.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit status of the stopped worker = %d, want 0", code)
	}
	for _, id := range ids {
		s.waitActive(id)
	}
	if got, backup := s.Primary.Orders(), s.Backup.Orders(); got != n || backup != 0 {
		t.Errorf("orders at the CAs = %d and %d, want %d and 0", got, backup, n)
	}
}
