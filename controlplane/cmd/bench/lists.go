package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
)

const listCalls = 40 // per round

// lists compares the last page of a long list of domains with the first one.
func lists(b *bench, _ []string) error {
	dev, err := b.startDev("lists", false)
	if err != nil {
		return err
	}
	defer stopDev(dev)
	n := pick(b.options.quick, 50_000, 1_000_000)
	if err := addManyDomains(b.ctx, dev.Postgres.DSN(), dev.OrgID, n); err != nil {
		return err
	}
	first := dev.Env()["DCVAAS_ENDPOINT"] + "/api/domains?limit="
	last, err := b.lastPage(first, dev.Token)
	if err != nil {
		return err
	}
	var took [2][]float64
	turn := func(side int, url string) func(int) error {
		return func(int) error {
			start := time.Now()
			for range listCalls {
				if _, err := b.page(url, dev.Token); err != nil {
					return err
				}
			}
			took[side] = append(took[side], ms(time.Since(start))/listCalls)
			return nil
		}
	}
	if err := b.interleave("lists/last", turn(0, last), turn(1, first+"50")); err != nil {
		return err
	}
	b.table.add(fmt.Sprintf("last page of %s domains, beside the first", thousands(fmt.Sprint(n))),
		"ms", took[0], took[1], ratioAtMost(1.2))
	b.table.note(
		"lists: pages of 50 from the API, newest first, one call at a time; limit: the first page.")
	return nil
}

// addManyDomains stores n domains directly in the database.
func addManyDomains(ctx context.Context, dsn, org string, n int) error {
	db, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close(context.WithoutCancel(ctx)) }()
	for _, sql := range []string{
		`ALTER TABLE domains DISABLE TRIGGER USER`,
		fmt.Sprintf(
			`INSERT INTO domains (id, org_id, name, cname_target, status, created_at) SELECT 'dom_' || lpad(i::text, 26, '0'), '%s',
			'n' || i || '.example.com', md5(i::text), 'pending_cname', now() - i * interval '1 second' FROM generate_series(1, %d) i`, org, n),
		`ALTER TABLE domains ENABLE TRIGGER USER`,
		`ANALYZE domains`,
	} {
		if _, err := db.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// lastPage reads a list in large pages and returns the URL of a page of 50 within the last one.
func (b *bench) lastPage(first, token string) (string, error) {
	for cursor := ""; ; {
		next, err := b.page(first+"200&cursor="+cursor, token)
		if err != nil {
			return "", err
		}
		if next == "" {
			return first + "50&cursor=" + cursor, nil
		}
		cursor = next
	}
}

// page reads one page and returns the cursor of the next one, or "" for the last page.
func (b *bench) page(url, token string) (string, error) {
	r, err := http.NewRequestWithContext(b.ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("reading a list: %s", resp.Status)
	}
	var page struct {
		NextCursor *string `json:"next_cursor"`
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	if err := json.Unmarshal(body, &page); err != nil || page.NextCursor == nil {
		return "", err
	}
	return *page.NextCursor, nil
}
