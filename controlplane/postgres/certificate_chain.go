package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/pem"
	"maps"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"
)

// chainParts are the columns of a certificate's chain, which is text, then the leaf, then the
// issuers' certificates. These are stored once for all certificates.
type chainParts struct {
	text    string // the whole chain if issuers is nil, otherwise empty, or text that has no leaf
	leaf    []byte // DER
	issuers []byte // SHA-256 of the text above the leaf
}

// splitChain returns the parts of a chain, and the text above the leaf. joinChain of both is the
// same chain, byte for byte.
func splitChain(chain string) (p chainParts, above string) {
	block, rest := pem.Decode([]byte(chain))
	if block == nil || joinChain("", block.Bytes, string(rest)) != chain {
		p.text = chain
	} else {
		p.leaf, above = block.Bytes, string(rest)
	}
	sum := sha256.Sum256([]byte(above))
	p.issuers = sum[:]
	return p, above
}

func joinChain(text string, leaf []byte, above string) string {
	if leaf == nil {
		return text + above
	}
	return text + string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf})) + above
}

// chainsKept remembers the chains of issuers that are stored. They are never removed.
type chainsKept struct {
	mu     sync.Mutex
	stored map[string]bool // by SHA-256
}

// splitKnown returns the parts of a chain to store, split if its issuers are already stored. A
// whole chain is split later, by SplitChains.
func (s *Store) splitKnown(ctx context.Context, chain string) (chainParts, error) {
	p, _ := splitChain(chain)
	sum := string(p.issuers)
	s.chains.mu.Lock()
	known := s.chains.stored[sum]
	s.chains.mu.Unlock()
	if !known {
		if err := s.db.QueryRow(ctx, `SELECT `+maySplit+
			` AND EXISTS (SELECT FROM issuer_chains WHERE sha256 = $1)`,
			p.issuers).Scan(&known); err != nil {
			return chainParts{}, translate(err, "", "")
		}
	}
	if !known {
		return chainParts{text: chain}, nil
	}
	s.chains.mu.Lock()
	defer s.chains.mu.Unlock()
	if s.chains.stored == nil || len(s.chains.stored) > 1000 {
		s.chains.stored = map[string]bool{}
	}
	s.chains.stored[sum] = true
	return p, nil
}

// maySplit is the condition that no older version runs that reads whole chains: the first row of
// issuer_chains was added by the migration a day ago.
const maySplit = `EXISTS (SELECT FROM issuer_chains WHERE sha256 = sha256('') AND created_at < now() - interval '1 day')`

// SplitChains splits the chains of up to limit certificates that were stored whole, oldest first,
// and returns how many.
func (s *Store) SplitChains(ctx context.Context, limit int) (n int, err error) {
	err = s.InTx(ctx, func(t *Tx) error {
		rows, err := t.db.Query(ctx, `SELECT id, chain_pem FROM certificates WHERE issuers IS NULL AND `+
			maySplit+` ORDER BY created_at LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED`, limit)
		if err != nil {
			return err
		}
		var ids, texts []string
		var leaves, issuers [][]byte
		chains := map[string]string{} // above the leaf, by SHA-256
		var id, chain string
		_, err = pgx.ForEachRow(rows, []any{&id, &chain}, func() error {
			p, above := splitChain(chain)
			ids, texts = append(ids, id), append(texts, p.text)
			leaves, issuers = append(leaves, p.leaf), append(issuers, p.issuers)
			chains[string(p.issuers)] = above
			return nil
		})
		if n = len(ids); err != nil || n == 0 {
			return err
		}
		return t.saveSplit(ctx, named{"ids": ids, "texts": texts, "leaves": leaves,
			"issuers": issuers}, chains)
	})
	return n, translate(err, "", "")
}

// saveSplit stores the parts of the chains of certificates, and the text above their leaves.
func (t *Tx) saveSplit(ctx context.Context, parts named, chains map[string]string) error {
	var sums [][]byte
	var above []string
	for _, sum := range slices.Sorted(maps.Keys(chains)) { // in one order, as it locks them
		sums, above = append(sums, []byte(sum)), append(above, chains[sum])
	}
	if _, err := t.db.Exec(ctx, `INSERT INTO issuer_chains (sha256, pem)
		SELECT * FROM unnest(@sums::bytea[], @above::text[]) ON CONFLICT DO NOTHING`,
		named{"sums": sums, "above": above}); err != nil {
		return err
	}
	_, err := t.db.Exec(ctx, `UPDATE certificates c SET chain_pem = n.text, leaf = n.leaf, issuers = n.issuers
		FROM unnest(@ids::text[], @texts::text[], @leaves::bytea[], @issuers::bytea[]) n (id, text, leaf, issuers)
		WHERE c.id = n.id`, parts)
	return err
}
