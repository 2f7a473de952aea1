package acme

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	lego "github.com/go-acme/lego/v4/acme"
)

// directoryLife is how long a directory is cached. Directories rarely change.
const directoryLife = 10 * time.Minute

// directoryGrace is how long an expired directory remains in use while a new one is fetched.
const directoryGrace = 30 * time.Second

// authority is the state that all sessions with one CA share: connections, nonces, the directory,
// and the accounts.
type authority struct {
	CA
	cfg       *Config
	transport *http.Transport
	nonces    nonces
	breaker   breaker

	dirMu sync.Mutex // held only to read or replace dir, never during a request
	dir   *directory

	registrarsMu sync.Mutex
	registrars   map[string]*registrar // by the account's name
}

// directory is a CA's directory, parsed and as received.
type directory struct {
	lego.Directory
	raw []byte
	at  time.Time
}

func newAuthority(ca CA, cfg *Config) *authority {
	a := &authority{CA: ca, cfg: cfg, transport: newTransport(ca, cfg),
		breaker: breaker{cfg: cfg.Breaker}, registrars: map[string]*registrar{}}
	for _, own := range ca.accounts() {
		a.registrars[own.Name] = a.newRegistrar(own, true)
	}
	return a
}

func (a *authority) now() time.Time { return a.cfg.Now() }

// directory returns the CA's directory and fetches it if it is missing or expired. While one caller
// fetches a new one, the others use the expired one. It returns an *Error.
func (a *authority) directory(ctx context.Context) (*directory, error) {
	a.dirMu.Lock()
	dir, now := a.dir, a.now()
	fresh := dir != nil && now.Sub(dir.at) < directoryLife
	if dir != nil && !fresh {
		a.dir = &directory{Directory: dir.Directory, raw: dir.raw,
			at: now.Add(directoryGrace - directoryLife)}
	}
	a.dirMu.Unlock()
	if fresh {
		return dir, nil
	}
	return a.fetchDirectory(ctx)
}

// fetchDirectory fetches and caches the CA's directory. It returns an *Error.
func (a *authority) fetchDirectory(ctx context.Context) (*directory, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.DirectoryURL, nil)
	if err != nil {
		return nil, internal(a.Name, err)
	}
	req.Header.Set("User-Agent", a.cfg.UserAgent)
	resp, body, err := a.exchange(ctx, req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, a.failure(atDirectory, resp, body)
	}
	dir := &directory{raw: body, at: a.now()}
	if err := json.Unmarshal(body, &dir.Directory); err != nil {
		return nil, malformed(a.Name, err)
	}
	for _, endpoint := range []string{dir.NewNonceURL, dir.NewAccountURL, dir.NewOrderURL} {
		if u, err := url.Parse(endpoint); err != nil || u.Scheme != "https" || u.Host == "" {
			return nil, malformed(a.Name, errors.New(
				"newNonce, newAccount, or newOrder is not an https URL in the directory"))
		}
	}
	a.dirMu.Lock()
	a.dir = dir
	a.dirMu.Unlock()
	return dir, nil
}

// distrust drops the cached directory and nonces. It is called after a response that could not be
// understood, because the CA may have changed them.
func (a *authority) distrust() {
	a.nonces.clear()
	a.dirMu.Lock()
	a.dir = nil
	a.dirMu.Unlock()
}

// Directory is a CA's description of itself (RFC 8555 §7.1.1).
type Directory struct {
	CAAIdentities []string // issuer domain names that authorize the CA in CAA records
	// certificate profiles by name, with a description; empty if the CA offers none
	Profiles       map[string]string
	TermsOfService string
	Website        string
	RenewalInfo    bool // whether the CA serves renewal information (RFC 9773)
}

// Directory returns the directory of the CA with the given name, at most 10 minutes old. It returns
// an *Error.
func (e *Engine) Directory(ctx context.Context, ca string) (Directory, error) {
	a, err := e.authority(ca)
	if err != nil {
		return Directory{}, err
	}
	dir, err := a.directory(ctx)
	if err != nil {
		return Directory{}, err
	}
	return Directory{
		CAAIdentities: dir.Meta.CaaIdentities, Profiles: dir.Meta.Profiles,
		TermsOfService: dir.Meta.TermsOfService,
		Website:        dir.Meta.Website, RenewalInfo: dir.RenewalInfo != "",
	}, nil
}
