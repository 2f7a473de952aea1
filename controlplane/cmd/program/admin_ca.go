package program

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/acme"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

type caCommand struct {
	Hold    holdCACommand    `cmd:"" help:"Place no new orders with a CA, or with one of its accounts, in all workers. Open orders, revocations, and renewal information continue."`
	Release releaseCACommand `cmd:"" help:"End the hold of a CA or of an account. Jobs that wait for it run now."`
	List    listCAsCommand   `cmd:"" help:"List the CAs and their accounts in order of preference: holds, open circuit breakers, unusable accounts, the number of names that the CA has paused, and the accounts' URLs."`
}

type holdCACommand struct {
	Config
	CA     string `arg:"" name:"ca" help:"The CA's name, as configured, or CA/ACCOUNT for one of its accounts."`
	Reason string `help:"Reason, shown to the customers whose orders wait."`
	Until  string `placeholder:"TIME" help:"End of the hold: a time (RFC 3339) or a duration, such as 4h. Default: until released."`
}

// Run puts the CA on hold.
func (c *holdCACommand) Run(r *run) error {
	if err := c.ACME.has(c.CA); err != nil {
		return err
	}
	var until *time.Time
	if c.Until != "" {
		at, err := parseUntil(c.Until, time.Now())
		if err != nil {
			return err
		}
		until = &at
	}
	service, done, err := adminService(r, c.Config)
	if err != nil {
		return err
	}
	defer done()
	if err := service.HoldCA(r.ctx, adminActor(), c.CA, c.Reason, until); err != nil {
		return forPeople(err)
	}
	_, err = fmt.Fprintf(r.stdout, "%s is on hold %s.\n", c.CA, untilText(until))
	return err
}

// parseUntil parses a time or a duration from now.
func parseUntil(s string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return now.Add(d), nil
	}
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return at, fmt.Errorf(
			"until: invalid value %q: must be a time, such as 2026-05-01T12:00:00Z, or a positive duration, such as 4h", s)
	}
	return at, nil
}

func untilText(until *time.Time) string {
	if until == nil {
		return "until released"
	}
	return "until " + until.UTC().Format(time.RFC3339)
}

type releaseCACommand struct {
	Config
	CA string `arg:"" name:"ca" help:"The CA's name, or CA/ACCOUNT."`
}

// Run ends the hold. The CA need not be configured any more.
func (c *releaseCACommand) Run(r *run) error {
	service, done, err := adminService(r, c.Config)
	if err != nil {
		return err
	}
	defer done()
	held, err := service.ReleaseCA(r.ctx, adminActor(), c.CA)
	if err != nil {
		return forPeople(err)
	}
	if !held {
		return errors.New(strconv.Quote(c.CA) + " is not on hold")
	}
	_, err = fmt.Fprintf(r.stdout, "%s is released.\n", c.CA)
	return err
}

type listCAsCommand struct{ Config }

// Run lists the CAs. Whether a CA responds is a matter of each worker: the list has what they have
// reported.
func (c *listCAsCommand) Run(r *run) error {
	cas, err := c.ACME.list()
	if err != nil {
		return err
	}
	store, err := postgres.Open(r.ctx, postgres.Config{DSN: c.Database})
	if err != nil {
		return err
	}
	defer store.Close()
	holds, err := store.CAHolds(r.ctx, time.Now())
	if err != nil {
		return forPeople(err)
	}
	outages, err := store.CAOutages(r.ctx, time.Now())
	if err != nil {
		return forPeople(err)
	}
	accounts, err := store.CAAccounts(r.ctx)
	if err != nil {
		return forPeople(err)
	}
	paused, err := store.PausedNames(r.ctx)
	if err != nil {
		return forPeople(err)
	}
	out := tabwriter.NewWriter(r.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "CA\tORDERS\tBREAKER\tACCOUNT\tPAUSED NAMES\tACCOUNT URL")
	row := func(title, ca, key, url string, holds []controlplane.CAHold) {
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%d\t%s\n", title, ordersText(holds),
			breakerText(ca, outages), accountText(key, accounts), paused[key], url)
	}
	for _, ca := range cas {
		for _, account := range ca.AccountNames() {
			stored, err := store.Account(r.ctx, controlplane.AccountURL(ca.DirectoryURL, account))
			if err != nil {
				return forPeople(err)
			}
			row(accountTitle(ca, account), ca.Name, controlplane.AccountKey(ca.Name, account),
				urlText(stored),
				holdsOf(holds, ca.Name, controlplane.AccountRef(ca.Name, account)))
		}
	}
	for _, ref := range unlisted(cas, holds) {
		row(ref, ref, ref, "", holdsOf(holds, ref))
	}
	return out.Flush()
}

// urlText returns the URL by which the CA knows an account.
func urlText(a *controlplane.Account) string {
	if a == nil || a.URL == "" {
		return "not registered"
	}
	return a.URL
}

// holdsOf returns the holds of a CA, and of an account there.
func holdsOf(holds []controlplane.CAHold, refs ...string) []controlplane.CAHold {
	return slices.DeleteFunc(slices.Clone(holds),
		func(h controlplane.CAHold) bool { return !slices.Contains(refs, h.CA) })
}

// unlisted returns what is on hold and not configured.
func unlisted(cas []acme.CA, holds []controlplane.CAHold) []string {
	var out []string
	for _, h := range holds {
		if !slices.ContainsFunc(cas, func(ca acme.CA) bool { return isPartOf(ca, h.CA) }) {
			out = append(out, h.CA)
		}
	}
	return out
}

// isPartOf reports whether ref names the CA or one of its accounts.
func isPartOf(ca acme.CA, ref string) bool {
	return ref == ca.Name || slices.ContainsFunc(ca.AccountNames(), func(account string) bool {
		return ref == controlplane.AccountRef(ca.Name, account)
	})
}

func ordersText(holds []controlplane.CAHold) string {
	if len(holds) == 0 {
		return "allowed"
	}
	h := holds[0] // that of the CA before that of the account
	return fmt.Sprintf("on hold %s, since %s by %s (%s)", untilText(h.Until),
		h.Since.UTC().Format(time.RFC3339), h.By, cmp.Or(oneLine(h.Reason), "no reason given"))
}

func breakerText(ca string, outages []controlplane.CAOutage) string {
	i := slices.IndexFunc(outages, func(o controlplane.CAOutage) bool { return o.CA == ca })
	if i < 0 {
		return "closed"
	}
	o, workers := outages[i], "1 worker"
	if o.Workers > 1 {
		workers = strconv.Itoa(o.Workers) + " workers"
	}
	return fmt.Sprintf("open in %s since %s, next attempt at %s: %s", workers,
		o.Since.UTC().Format(time.RFC3339), o.ProbeAt.UTC().Format(time.RFC3339),
		oneLine(o.Message))
}

func accountText(key string, accounts []controlplane.CAAccount) string {
	i := slices.IndexFunc(accounts,
		func(a controlplane.CAAccount) bool { return a.CA == key && a.Unusable })
	if i < 0 {
		return "usable"
	}
	a := accounts[i]
	return fmt.Sprintf("unusable since %s, next attempt at %s: %s",
		a.Since.UTC().Format(time.RFC3339), a.ProbeAt.UTC().Format(time.RFC3339),
		oneLine(a.Message))
}

// oneLine returns the text with its white space reduced, so that it fits a table.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// has returns an error that names the configured CAs if ref is not one of them or of their
// accounts.
func (c ACMEConfig) has(ref string) error {
	cas, err := c.list()
	if err != nil {
		return err
	}
	if slices.ContainsFunc(cas, func(ca acme.CA) bool { return isPartOf(ca, ref) }) {
		return nil
	}
	return errUnknownCA(cas, ref)
}

// errUnknownCA is the error for what is neither a CA nor an account, with all that are.
func errUnknownCA(cas []acme.CA, ref string) error {
	var all []string
	for _, ca := range cas {
		all = append(all, ca.Name)
		if len(ca.Accounts) > 0 {
			for _, account := range ca.AccountNames() {
				all = append(all, controlplane.AccountRef(ca.Name, account))
			}
		}
	}
	return fmt.Errorf("ca: unknown CA %q: must be one of %s", ref, strings.Join(all, ", "))
}
