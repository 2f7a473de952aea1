package dashboard

import (
	"context"
	"maps"
	"net/url"
	"slices"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// names has the display names of users, tokens, domains, delegations, and webhooks by ID. Deleted
// objects have no entry, except for users.
type names map[string]string

// names looks up the names for IDs, which must be from objects of the visit's organization. It
// ignores IDs of other kinds.
func (d *Dashboard) names(ctx context.Context, v *visit, ids []string) (names, error) {
	all := names{}
	of := func(prefix string) []string {
		var some []string
		for _, id := range ids {
			if controlplane.IsID(prefix, id) && !slices.Contains(some, id) {
				some = append(some, id)
			}
		}
		return some
	}
	if users := of(controlplane.PrefixUser); users != nil {
		titles, err := d.store.UserTitles(ctx, users)
		if err != nil {
			return nil, err
		}
		maps.Copy(all, titles)
	}
	if tokens := of(controlplane.PrefixToken); tokens != nil {
		found, err := d.store.TokenNames(ctx, v.org.ID, tokens)
		if err != nil {
			return nil, err
		}
		maps.Copy(all, found)
	}
	if domains := of(controlplane.PrefixDomain); domains != nil {
		found, _, err := d.store.ListDomains(ctx, v.org.ID,
			postgres.DomainFilter{IDs: domains, Limit: len(domains)})
		if err != nil {
			return nil, err
		}
		for i := range found {
			all[found[i].ID] = found[i].Name
		}
	}
	if delegations := of(controlplane.PrefixDelegation); delegations != nil {
		found, err := d.store.DelegationNames(ctx, v.org.ID, delegations)
		if err != nil {
			return nil, err
		}
		maps.Copy(all, found)
	}
	if webhooks := of(controlplane.PrefixWebhook); webhooks != nil {
		hooks, _, err := d.store.ListWebhooks(ctx, v.org.ID, nil, v.org.Tier.Webhooks())
		if err != nil {
			return nil, err
		}
		for i := range hooks {
			if u, err := url.Parse(hooks[i].URL); err == nil {
				all[hooks[i].ID] = u.Host // the path may contain a secret
			}
		}
	}
	return all, nil
}

// of returns the name for an ID, or the ID if the name is unknown.
func (n names) of(id string) string {
	if name := n[id]; name != "" {
		return name
	}
	return id
}

// actor returns the display name of an actor.
func (n names) actor(a controlplane.Actor) string {
	switch {
	case a.Type == controlplane.ActorUser:
		return n.of(a.ID)
	case a.Type == controlplane.ActorToken && n[a.ID] != "":
		return "API token “" + n[a.ID] + "”"
	case a.Type == controlplane.ActorToken:
		return "API token " + a.ID
	}
	if word, ok := systemActors[a.ID]; ok {
		return word
	}
	return "DCVaaS"
}

// systemActors has the display names of system actors.
var systemActors = map[string]string{
	"acmedns": "ACME client",
	"admin":   "Operator", // at the command line
	"dev":     "Operator",
	"sweep":   "DCVaaS",
	"worker":  "DCVaaS",
}

// creator returns the display name of an object's creator.
func (n names) creator(id string) string {
	a := controlplane.System(id)
	switch {
	case controlplane.IsID(controlplane.PrefixUser, id):
		a.Type = controlplane.ActorUser
	case controlplane.IsID(controlplane.PrefixToken, id):
		a.Type = controlplane.ActorToken
	}
	return n.actor(a)
}
