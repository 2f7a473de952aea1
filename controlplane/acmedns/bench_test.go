package acmedns

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// BenchmarkUpdate measures updates over HTTP with 32 connections, each acknowledged by two name
// servers, and their latency.
func BenchmarkUpdate(b *testing.B) {
	w := newWorld(b)
	const connections = 32
	transport := &http.Transport{MaxIdleConnsPerHost: connections}
	client := &http.Client{Transport: transport}
	accounts := make([]account, connections)
	for i := range accounts {
		accounts[i] = w.registerAt(w.base(), "")
	}
	took := make([][]time.Duration, connections)
	b.ResetTimer()
	var wg sync.WaitGroup
	for i, a := range accounts {
		wg.Go(func() {
			for n := range (b.N + connections - 1) / connections {
				start := time.Now()
				r, err := http.NewRequestWithContext(b.Context(), http.MethodPost,
					w.url+Prefix+"/update", strings.NewReader(update(a.Subdomain,
						value(fmt.Sprint("v", n%4, "-")))))
				if err != nil {
					b.Error(err)
					return
				}
				r.Header.Set("X-Api-User", a.Username)
				r.Header.Set("X-Api-Key", a.Password)
				resp, err := client.Do(r)
				if err != nil {
					b.Error(err)
					return
				}
				_, err = io.Copy(io.Discard, resp.Body) // so that the connection is used again
				if err := errors.Join(err, resp.Body.Close()); err != nil {
					b.Error(err)
					return
				}
				if resp.StatusCode != http.StatusOK {
					b.Errorf("update = %d, want 200", resp.StatusCode)
					return
				}
				took[i] = append(took[i], time.Since(start))
			}
		})
	}
	wg.Wait()
	all := slices.Sorted(slices.Values(slices.Concat(took...)))
	b.ReportMetric(float64(len(all))/b.Elapsed().Seconds(), "updates/s")
	b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "p99-ms")
}
