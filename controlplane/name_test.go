package controlplane_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

func TestParseName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"Example.COM.": "example.com",
		"a.b.example.co.uk": "a.b.example.co.uk", "me.github.io": "me.github.io",
		"github.io": "github.io"} {
		if got, err := controlplane.ParseName("/name", in); err != nil || got != want {
			t.Errorf("ParseName(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
	for in, code := range map[string]string{
		"": "name-empty", "*.example.com": "name-wildcard", "com": "name-public-suffix",
		"co.uk": "name-public-suffix", "nas.lan": "name-unknown-tld",
		"1.2.3.4.5.6.7.8.9.example.com": "name-too-many-labels",
		"foo.ck":                        "name-public-suffix", "公司.cn": "name-public-suffix",
		"xn--55qx5d.cn": "name-public-suffix",
	} {
		got, err := controlplane.ParseName("/name", in)
		if got != "" || !controlplane.HasCode(err, code) {
			t.Errorf("ParseName(%q) = %q, %v, want the code %s", in, got, err, code)
			continue
		}
		e := controlplane.AsError(err)
		want := &controlplane.Error{Kind: controlplane.KindInvalid, Code: code, Message: e.Message,
			Fix:    e.Fix,
			Fields: []controlplane.FieldError{{Pointer: "/name", Code: code, Detail: e.Message}}}
		if diff := cmp.Diff(want, e); diff != "" || e.Message == "" || e.Fix == "" {
			t.Errorf("ParseName(%q) returns an unexpected error (-want +got):\n%s", in, diff)
		}
	}
}

func TestCertificateNames(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		o    controlplane.Options
		want []string
	}{
		{controlplane.Options{}, []string{"example.com"}},
		{controlplane.Options{Wildcard: true}, []string{"example.com", "*.example.com"}},
		{controlplane.Options{AdditionalNames: []string{"*.example.com"}},
			[]string{"example.com", "*.example.com"}},
		{controlplane.Options{Wildcard: true, AdditionalNames: []string{"*.a.example",
			"*.example.com", "a.example", "example.com", "www.example.net"}},
			[]string{"example.com", "*.example.com", "*.a.example", "a.example",
				"www.example.net"}},
	} {
		d := controlplane.Domain{Name: "example.com", Options: tt.o}
		if diff := cmp.Diff(tt.want, d.Names()); diff != "" {
			t.Errorf("Names of example.com with %+v (-want +got):\n%s", tt.o, diff)
		}
	}
}
