package controlplane_test

import (
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

func TestDecodeBase64URL(t *testing.T) {
	t.Parallel()
	for in, ok := range map[string]bool{"": true, "AQ": true, "_-8": true, "AR": false,
		"AQ==": false, "A": false, "+w": false, "A\nQ": false, "AQ\r\n": false} {
		if _, err := controlplane.DecodeBase64URL(in); (err == nil) != ok {
			t.Errorf("DecodeBase64URL(%q) = %v, want success: %v", in, err, ok)
		}
	}
	secret := controlplane.NewRandomSecret()
	if with := secret[:8] + "\n" + secret[8:]; !controlplane.IsRandomSecret(secret) ||
		controlplane.IsRandomSecret(with) {
		t.Errorf("IsRandomSecret(%q) = %v, of the same with a line break %v, want true and false",
			secret, controlplane.IsRandomSecret(secret), controlplane.IsRandomSecret(with))
	}
}
