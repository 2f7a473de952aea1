package program

import (
	"context"
	"encoding/json"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

const (
	// devConnection is the name of the DNS connection to the playground.
	devConnection = "Playground"
	// devPlaygroundKey is the name of the playground's key for dynamic updates, with HMAC-SHA256.
	devPlaygroundKey = "playground"
)

// devConnectionZones are the zones of the DNS connection to the playground, which serves any.
var devConnectionZones = []string{"example.com", "example.net", "example.org"}

// startConnection adds the DNS connection to the playground, or replaces its credentials if the
// playground's address has changed.
func (d *Dev) startConnection(ctx context.Context, _ DevConfig) error {
	credentials, err := json.Marshal(controlplane.RFC2136Credentials{
		Server: d.Playground.DNSAddr(), KeyName: devPlaygroundKey,
		Algorithm: controlplane.HMACSHA256, KeySecret: d.secrets.PlaygroundKey,
		Zones: devConnectionZones})
	if err != nil {
		return err
	}
	actor, life := controlplane.System("dev"), d.App.lifecycle
	all, _, err := d.App.store.ListConnections(ctx, d.OrgID, nil, 100)
	if err != nil {
		return err
	}
	for _, c := range all {
		if c.Name == devConnection {
			_, err := life.UpdateConnection(ctx, actor, d.OrgID, c.ID,
				lifecycle.ConnectionPatch{Credentials: credentials})
			return err
		}
	}
	_, err = life.CreateConnection(ctx, actor, d.OrgID, lifecycle.NewConnection{
		Type: controlplane.ConnectionRFC2136, Name: devConnection, Credentials: credentials})
	return err
}
