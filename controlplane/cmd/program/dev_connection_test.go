package program

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

// TestDevConnection gets a certificate through the DNS connection of the development stack, without
// a record that somebody creates. The record is removed with the domain, and what the connection
// can't create is reported.
func TestDevConnection(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{})
	list, err := s.api.DNSConnections(t.Context(), client.ListDNSConnectionsParams{})
	if err != nil || len(list.Data) != 1 || list.Data[0].Name != devConnection ||
		list.Data[0].Status != client.DNSConnectionStatusOk {
		t.Fatalf("DNSConnections() = %s, %v, want the one of the playground", toJSON(list), err)
	}
	add := func(name string, more ...string) *client.Domain {
		t.Helper()
		in := client.DomainCreate{Name: name, AdditionalNames: &more}
		in.ConnectionId.Set(list.Data[0].Id)
		d, err := s.api.CreateDomain(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	d := s.waitActive(add("shop.example.com", "*.example.net").Id)
	manual := add("manual.example.com", "www.other.test.example")
	s.waitDomain(manual.Id, "the name outside of the zones", func(d *client.Domain) bool {
		for _, c := range d.Conditions {
			if c.Type == client.ConditionTypeDNSReady && c.Names != nil {
				return len(*c.Names) == 1 && (*c.Names)[0].Reason == "zone-not-in-connection"
			}
		}
		return false
	})
	for _, id := range []string{d.Id, manual.Id} {
		if err := s.api.DeleteDomain(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	s.eventually("the removal of the records", func() error {
		r, err := http.Get(s.Playground.URL() + "/records")
		if err != nil {
			return err
		}
		defer func() { _ = r.Body.Close() }()
		var records bytes.Buffer
		if _, err := records.ReadFrom(r.Body); err != nil {
			return err
		}
		if bytes.Contains(records.Bytes(), []byte("_acme-challenge")) {
			return fmt.Errorf("the playground has %s", records.String())
		}
		return nil
	})
}
