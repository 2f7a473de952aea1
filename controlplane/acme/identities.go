package acme

import (
	"context"
	"sync"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// Identities returns the configured CAs as CAA records identify them (RFC 8659, RFC 8657): the
// issuer domain names in each CA's directory, and the URLs of the accounts there. If a CA does not
// respond within two seconds, its identities are empty, and the doctor derives them from the
// directory's host.
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
			accounts := ca.accounts()
			out[i].AccountURI = ca.registrar(accounts[0].Name).accountURI(ctx)
			if len(accounts) == 1 {
				return
			}
			for _, one := range accounts {
				out[i].Accounts = append(out[i].Accounts, controlplane.AccountIdentity{
					Name: one.Name, URI: ca.registrar(one.Name).accountURI(ctx)})
			}
		})
	}
	wg.Wait()
	return out
}

// accountURI returns the account's URL, from memory or from the store, or "" if it is not
// registered.
func (a *registrar) accountURI(ctx context.Context) string {
	select {
	case a.lock <- struct{}{}:
		acct := a.account
		<-a.lock
		if acct != nil {
			return acct.url
		}
	default: // the account is being loaded
	}
	stored, err := a.cfg.Accounts.Account(ctx, a.ref)
	if err != nil || stored == nil {
		return ""
	}
	return stored.URL
}
