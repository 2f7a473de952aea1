package dashboard

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

func connectionInput(changes ...string) url.Values {
	form := url.Values{"name": {"ns1"}, "server": {"ns1.example.net"}, "key_name": {"dcvaas"},
		"key_algorithm": {controlplane.HMACSHA256}, "key_secret": {connectionSecret},
		"zones": {"example.com, example.org"}}
	for i := 0; i < len(changes); i += 2 {
		form.Set(changes[i], changes[i+1])
	}
	return form
}

// A connection is added, tested, renamed, gets other credentials, and is deleted. No page shows the
// secret, and every invalid field has its error.
func TestConnections(t *testing.T) {
	s := newSignedIn(t, withSealer(t))
	s.get(connectionsPath).want(http.StatusOK, "No DNS connections yet").has(`id="add" open`)
	for field, bad := range map[string][2]string{"server": {"a b", "name server"},
		"key_name": {"..", "TSIG key"}, "key_secret": {"short", "base64"}, "zones": {"a..b", "zone"},
		"name": {" ", "name"}} {
		s.post(connectionsPath, connectionInput(field, bad[0])).want(
			http.StatusUnprocessableEntity, bad[1]).has(`aria-invalid="true"`).withoutSecret()
	}
	s.hosts().fails(&controlplane.HostError{Kind: controlplane.HostInvalid,
		Message: "The key is unknown."})
	s.post(connectionsPath, connectionInput()).want(http.StatusUnprocessableEntity,
		"The key is unknown.").has(`value="ns1.example.net"`).withoutSecret()
	s.hosts().fails(nil)
	page := s.post(connectionsPath, connectionInput()).want(http.StatusSeeOther).header.
		Get("Location")
	s.get(page).want(http.StatusOK, "Its credentials work", "ns1", "example.com", "example.org",
		"Works").withoutSecret()
	s.get(connectionsPath).want(http.StatusOK, "ns1", "Works", "Name server (RFC 2136)")

	s.hosts().fails(&controlplane.HostError{Kind: controlplane.HostInvalid,
		Message: "The key is unknown."})
	s.post(page+"/test", nil).want(http.StatusSeeOther)
	s.get(page).want(http.StatusOK, "rejects the credentials", "Invalid", "The key is unknown.")
	s.post(page+"/credentials", connectionInput("key_name", "other")).want(
		http.StatusUnprocessableEntity, "The key is unknown.").has(`id="credentials" open`).
		withoutSecret()
	s.hosts().fails(nil)
	s.post(page+"/credentials", connectionInput("zones", "example.net")).want(http.StatusSeeOther)
	s.get(page).want(http.StatusOK, "Credentials replaced", "example.net", "Works").
		hasNot("example.org")
	s.post(page, url.Values{"name": {" "}}).want(http.StatusUnprocessableEntity).
		has(`id="rename" open`)
	s.post(page, url.Values{"name": {"ns2"}}).want(http.StatusSeeOther)
	s.get(page).want(http.StatusOK, "ns2", "renamed")
	s.post(page+"/delete", nil).want(http.StatusSeeOther)
	s.get(page).want(http.StatusNotFound)

	s.hosts().fails(&controlplane.HostError{Kind: controlplane.HostUnreachable,
		Message: "No response."})
	page = s.post(connectionsPath, connectionInput()).want(http.StatusSeeOther).header.
		Get("Location")
	s.get(page).want(http.StatusOK, "tested again automatically", "Unreachable", "No response.")
}

// The page of a domain leads to the plan of its records, which is applied as it was shown, with
// permission to replace what it lists.
func TestCreateRecords(t *testing.T) {
	s := newSignedIn(t, withSealer(t))
	d := s.add(s.org, "shop.example.com", func(o *controlplane.Options) {
		o.AdditionalNames = []string{"txt.example.com", "www.example.net"}
	})
	page := domainURL(d.ID)
	s.get(page).want(http.StatusOK, "Automatic records").has(`href="` + page + `/dns"`)
	s.get(page+"/dns").want(http.StatusOK, "No DNS connections yet").hasNot(`name="plan"`)
	c := s.connection(s.org, "ns1", "example.com")
	const name = "_acme-challenge.txt.example.com"
	s.hosts().sets(name, txt(name))
	shown := s.get(page+"/dns").want(http.StatusOK, "Is created", "Other records",
		`TXT "left over"`, "Manual", "no zone that contains _acme-challenge.www.example.net")
	form := shown.formAt(page + "/dns")
	s.hosts().sets(name, controlplane.RecordSet{Name: name, Type: "TXT", Values: []string{`"x"`}})
	s.post(page+"/dns", form.with(url.Values{"replace": {"1"}})).want(http.StatusConflict,
		"nothing was created", `TXT "x"`)
	s.hosts().sets(name, txt(name))
	s.post(page+"/dns", form.with(url.Values{"replace": {"1"}, "default": {"1"}})).want(
		http.StatusSeeOther)
	s.get(page).want(http.StatusOK, "The records are being created", "DNS connection ns1",
		"CNAME is being created")
	s.runApply(c)
	for _, name := range []string{"shop.example.com", "txt.example.com"} {
		r := s.life.DelegationAt(d, name)
		if got := s.hosts().has[r.Name]; len(got) != 1 || !got[0].Is(r.Target) {
			t.Errorf("%s has %v, want the CNAME", r.Name, got)
		}
	}
	s.get(page+"/dns").want(http.StatusOK, "Exists", "names that are added later are created").
		hasNot(`name="default"`)
	s.post(page+"/dns/leave", nil).want(http.StatusSeeOther)
	s.get(page).want(http.StatusOK, "No further records").hasNot(page + "/dns/leave")

	s.hosts().fails(&controlplane.HostError{Kind: controlplane.HostUnreachable,
		Message: "No response."})
	s.get(page+"/dns?connection="+c.ID).want(http.StatusServiceUnavailable, "No response.")
	s.post(page+"/dns", url.Values{"plan": {form.values.Get("plan")}}).want(
		http.StatusServiceUnavailable, "No response.")
	s.hosts().fails(nil)
	s.get(page + "/dns?connection=con_x").want(http.StatusNotFound)
	s.post(page+"/dns", url.Values{"plan": {"x"}}).want(http.StatusNotFound)
}

// Names outside of a connection's zones, and names with other records, show why they wait.
func TestRecordsThatAreNotCreated(t *testing.T) {
	s := newSignedIn(t, withSealer(t))
	c := s.connection(s.org, "ns1", "example.com")
	const name = "_acme-challenge.txt.example.com"
	s.hosts().sets(name, txt(name))
	d := s.add(s.org, "www.example.net", func(o *controlplane.Options) {
		o.AdditionalNames, o.ConnectionID = []string{"txt.example.com"}, c.ID
	})
	s.runApply(c)
	s.change(d, func(d *controlplane.Domain) {
		dns := d.Condition(controlplane.DNSReady)
		dns.Status, dns.Reason = controlplane.ConditionFalse, controlplane.CodeNoZone
		dns.Names = []controlplane.NameStatus{
			{Name: "www.example.net", Reason: controlplane.CodeNoZone, Message: "No zone.", Fix: "F1."},
			{Name: "txt.example.com", Reason: controlplane.CodeDNSConflict, Message: "A TXT.",
				Fix: "F2."}}
		d.SetCondition(dns)
	})
	body := s.get(domainURL(d.ID)).want(http.StatusOK, "Zone not in the connection",
		"Other DNS records", "A TXT.", "press “Create record”").body
	if strings.Contains(body, "overwrite") {
		t.Errorf("the page mentions a field of the API: %s", body)
	}
}

// Records that are no longer needed are removed before the connection, or left.
func TestDeleteBusyConnection(t *testing.T) {
	s := newSignedIn(t, withSealer(t))
	c := s.connection(s.org, "ns1", "example.com")
	d := s.add(s.org, "example.com", func(o *controlplane.Options) { o.ConnectionID = c.ID })
	s.runApply(c)
	s.must(s.life.DeleteDomain(t.Context(), controlplane.System("test"), s.org.ID, d.ID, 0))
	s.post(connectionURL(c.ID)+"/delete", nil).want(http.StatusConflict,
		"_acme-challenge.example.com", "leave them there").has(`id="delete" open`)
	s.post(connectionURL(c.ID)+"/delete", url.Values{"keep": {"1"}}).want(http.StatusSeeOther)
	s.get(connectionsPath).want(http.StatusOK, "No DNS connections yet", "deleted")
}

// A domain is added with its records if the organization has a connection.
func TestAddDomainWithRecords(t *testing.T) {
	s := newSignedIn(t, withSealer(t))
	s.get("/domains").want(http.StatusOK).hasNot(`name="connection"`)
	c := s.connection(s.org, "ns1", "example.com")
	s.get("/domains").want(http.StatusOK, "Create them through ns1", "I create them")
	s.post("/domains", url.Values{"name": {"bad "}, "connection": {c.ID}}).want(
		http.StatusUnprocessableEntity).has(`value="` + c.ID + `" selected`)
	s.post("/domains", url.Values{"name": {"a.example.com"}, "connection": {"con_x"}}).want(
		http.StatusUnprocessableEntity, "No DNS connection has this ID")
	page := s.post("/domains", url.Values{"name": {"a.example.com"}, "connection": {c.ID}}).want(
		http.StatusSeeOther).header.Get("Location")
	s.get(page).want(http.StatusOK, "Its records are being created", "CNAME is being created",
		"Create no further records")
	s.runApply(c)
	if got := len(s.hosts().has); got != 1 {
		t.Errorf("the DNS host has %d names with records, want 1", got)
	}
	page = s.post("/domains", url.Values{"name": {"b.example.com"}, "connection": {""}}).want(
		http.StatusSeeOther).header.Get("Location")
	s.get(page).want(http.StatusOK, "Create the record below")
}
