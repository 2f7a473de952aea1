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
			out[i].AccountURI = ca.accountURI(ctx)
		})
	}
	wg.Wait()
	return out
}

// accountURI returns the URL of the account, "" where there is none: the one that orders are
// placed with, or, where none has been placed yet, that in the store.
func (a *authority) accountURI(ctx context.Context) string {
	select {
	case a.accountLock <- struct{}{}:
		acct := a.account
		<-a.accountLock
		if acct != nil {
			return acct.url
		}
	default: // it is just being looked up
	}
	stored, err := a.cfg.Accounts.Account(ctx, a.DirectoryURL)
	if err != nil || stored == nil {
		return ""
	}
	return stored.URL
}
