package acme

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	lego "github.com/go-acme/lego/v4/acme"
)

// directoryLife is how long a directory is believed; it hardly ever changes.
const directoryLife = 10 * time.Minute

// directoryGrace is how long an old directory serves while a new one is asked for.
const directoryGrace = 30 * time.Second

// authority is what all sessions with one CA share: connections, nonces, the directory and the account.
type authority struct {
	CA
	cfg       *Config
	transport *http.Transport
	nonces    nonces
	breaker   breaker

	dirMu sync.Mutex // held for looking only, never during a request
	dir   *directory

	// account is guarded by its lock, which is held while the account is looked up or registered: a channel, so that waiting
	// for it ends with the context.
	accountLock chan struct{}
	account     *account
}

// directory is a CA's directory, as read and as it came.
type directory struct {
	lego.Directory
	raw []byte
	at  time.Time
}

func newAuthority(ca CA, cfg *Config) *authority {
	return &authority{CA: ca, cfg: cfg, transport: newTransport(ca, cfg), breaker: breaker{cfg: cfg.Breaker}, accountLock: make(chan struct{}, 1)}
}

func (a *authority) now() time.Time { return a.cfg.Now() }

// directory returns the CA's directory, asking for it where it is not known or too old. While one caller asks for one that is
// too old, the others make do with it. Its error is an *Error.
func (a *authority) directory(ctx context.Context) (*directory, error) {
	a.dirMu.Lock()
	dir, now := a.dir, a.now()
	fresh := dir != nil && now.Sub(dir.at) < directoryLife
	if dir != nil && !fresh {
		a.dir = &directory{Directory: dir.Directory, raw: dir.raw, at: now.Add(directoryGrace - directoryLife)}
	}
	a.dirMu.Unlock()
	if fresh {
		return dir, nil
	}
	return a.fetchDirectory(ctx)
}

// fetchDirectory asks the CA for its directory, and keeps it. Its error is an *Error.
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
		return nil, a.useless(resp, body)
	}
	dir := &directory{raw: body, at: a.now()}
	if err := json.Unmarshal(body, &dir.Directory); err != nil {
		return nil, unreachable(a.Name, err)
	}
	if dir.NewNonceURL == "" || dir.NewAccountURL == "" || dir.NewOrderURL == "" {
		return nil, unreachable(a.Name, errors.New("the directory lacks newNonce, newAccount or newOrder"))
	}
	a.dirMu.Lock()
	a.dir = dir
	a.dirMu.Unlock()
	return dir, nil
}

// distrust forgets what the CA may have changed meanwhile, after it could not be understood.
func (a *authority) distrust() {
	a.nonces.clear()
	a.dirMu.Lock()
	a.dir = nil
	a.dirMu.Unlock()
}

// Directory is what a CA says of itself (RFC 8555 §7.1.1).
type Directory struct {
	CAAIdentities  []string          // issuer domain names that allow it in CAA records
	Profiles       map[string]string // certificate profiles on offer, with a description; empty if it has none
	TermsOfService string
	Website        string
	RenewalInfo    bool // it answers RFC 9773 requests
}

// Directory returns what the CA of that name says of itself, at most 10 minutes old. Its error is an *Error.
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
		CAAIdentities: dir.Meta.CaaIdentities, Profiles: dir.Meta.Profiles, TermsOfService: dir.Meta.TermsOfService,
		Website: dir.Meta.Website, RenewalInfo: dir.RenewalInfo != "",
	}, nil
}
