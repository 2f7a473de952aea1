package controlplane_test

import (
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

func TestAccountNames(t *testing.T) {
	t.Parallel()
	const dir = "https://ca.example/dir"
	for _, tt := range []struct{ account, name, ref, key, url string }{
		{"", "default", "ca/default", "ca", dir},
		{"default", "default", "ca/default", "ca", dir},
		{"b", "b", "ca/b", "ca/b", dir + "#b"},
	} {
		for _, r := range []struct{ call, got, want string }{
			{"AccountOf", controlplane.AccountOf(tt.account), tt.name},
			{"AccountRef", controlplane.AccountRef("ca", tt.account), tt.ref},
			{"AccountKey", controlplane.AccountKey("ca", tt.account), tt.key},
			{"AccountURL", controlplane.AccountURL(dir, tt.account), tt.url},
		} {
			if r.got != r.want {
				t.Errorf("%s(%q) = %q, want %q", r.call, tt.account, r.got, r.want)
			}
		}
	}
}
