package acme

import (
	"context"
	"sync"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// Identities returns the configured CAs as CAA records know them (RFC 8659, RFC 8657): what
// each directory says of itself, and our account there. A CA that does not answer within two
// seconds is named without; the doctor then goes by its directory's address.
func (e *Engine) Identities(ctx context.Context) []controlplane.CAIdentity {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	out := make([]controlplane.CAIdentity, len(e.names))
	var wg sync.WaitGroup
	for i, name := range e.names {
		ca := e.cas[name]
		out[i] = controlplane.CAIdentity{Name: name, DirectoryURL: ca.DirectoryURL}
		wg.Go(func() {
			if dir, err := e.Directory(ctx, name); err == nil {
				out[i].Identities = dir.CAAIdentities
			}
			if a, err := e.cfg.Accounts.Account(ctx, ca.DirectoryURL); err == nil && a != nil {
				out[i].AccountURI = a.URL
			}
		})
	}
	wg.Wait()
	return out
}
