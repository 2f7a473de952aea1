package provider

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
	"github.com/dcvaas/terraform-provider-dcvaas/docs/doctest"
)

// passes rotates the token at an address twice within a moment. After each rotation, the block must
// have passed the token's current secret on to another provider.
func (d *docRun) passes(b *doctest.Block, address string) {
	d.Helper()
	for range 2 {
		// The state does not contain this secret, so the apply rotates the token again.
		if _, err := d.client.RotateToken(d.Context(), d.inState(address, "id"),
			client.TokenRotate{}); err != nil {
			d.Fatal(err)
		}
		if out, err := d.cli("apply"); err != nil {
			d.Fatalf("%s: terraform apply after a rotation: %v\n%s", b.At(), err, out)
		}
		written, current := d.stubs.written(), d.inState(address, "token")
		if !slices.ContainsFunc(written, func(s string) bool {
			return strings.Contains(s, current)
		}) {
			d.Errorf("%s: the current secret of %s was not passed on after a rotation; "+
				"%d secrets were written since the last one", b.At(), address, len(written))
		}
	}
}

// inState returns an attribute of a resource in the state.
func (d *docRun) inState(address, attribute string) string {
	d.Helper()
	out, err := d.cli("show", "-json")
	if err != nil {
		d.Fatalf("terraform show -json: %v\n%s", err, out)
	}
	var state struct {
		Values struct {
			Root struct {
				Resources []struct {
					Address string
					Values  map[string]any
				}
			} `json:"root_module"`
		}
	}
	if err := json.Unmarshal([]byte(out), &state); err != nil {
		d.Fatalf("terraform show -json prints %q: %v", out, err)
	}
	for _, r := range state.Values.Root.Resources {
		if value, ok := r.Values[attribute].(string); ok && r.Address == address {
			return value
		}
	}
	d.Fatalf("the state has no string at %s.%s:\n%s", address, attribute, out)
	return ""
}
