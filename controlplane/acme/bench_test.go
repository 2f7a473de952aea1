package acme_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
)

// BenchmarkOrder runs orders for apex and wildcard at a Pebble in this process that does not sleep.
func BenchmarkOrder(b *testing.B) {
	for _, parallel := range []int{1, 8, 32} {
		b.Run(fmt.Sprintf("parallel=%d", parallel), func(b *testing.B) {
			w := newWorld(b, devstack.CAConfig{})
			e := w.engine(b, nil)
			w.issue(b, e, "warm.example.com")
			var n atomic.Int64
			jobs := make(chan struct{}, parallel)
			b.ResetTimer()
			for range b.N {
				jobs <- struct{}{}
				go func() {
					defer func() { <-jobs }()
					name := fmt.Sprintf("b%d.example.com", n.Add(1))
					o := w.order(b, e, name, "*."+name)
					if _, err := e.Run(b.Context(), o, w.journal(o)); err != nil {
						b.Error(err)
					}
				}()
			}
			for range parallel {
				jobs <- struct{}{}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "certificates/s")
		})
	}
}
