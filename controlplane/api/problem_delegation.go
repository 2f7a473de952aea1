package api

// delegationProblems are what the doctor finds at a domain's challenge name, and why a
// domain waits. They stand in conditions, status_reason and a job's reason.
var delegationProblems = []problemPage{
	{"ok", "The delegation is right", "The CNAME leads to the target.", "Nothing."},
	{"cname-unchecked", "Not looked for yet", "The CNAME has not been looked for yet.", "Create the record in delegation; the check comes by itself."},
	{"cname-missing", "The CNAME is not there", "Neither the resolvers nor the zone's own name servers have a CNAME at the challenge name.", "Create the record in delegation at your DNS host. It is looked for by itself; POST …/verify looks now."},
	{"cname-mismatch", "The CNAME leads elsewhere", "There is a CNAME at the challenge name, but to another target.", "Change its target to the one in delegation. It may belong to another service or another organization: see that it is no longer needed."},
	{"cname-doubled-label", "The record was made one level too deep", "The DNS host has appended the zone to a name that had it already, as in _acme-challenge.example.com.example.com.", "Enter the name without the zone, most often just _acme-challenge, and remove the other record."},
	{"cname-proxied", "The CNAME is hidden by a proxy", "The DNS host answers the CNAME with addresses of its own.", "Turn the proxy off for this record (at Cloudflare: DNS only, the grey cloud)."},
	{"cname-chain-loop", "The CNAMEs go in a circle", "Following the CNAMEs leads back to a name that was there before.", "Let the challenge name lead to the target in delegation."},
	{"cname-chain-too-long", "There are too many CNAMEs in a row", "CAs follow only a few CNAMEs.", "Let the challenge name lead to the target in delegation directly."},
	{"cname-and-other-data", "The CNAME has other records beside it", "A name with a CNAME can have no other records (RFC 1034 §3.6.2).", "Remove the other records at the challenge name."},
	{"txt-conflict", "A TXT record stands in the way", "There is a TXT record at the challenge name, most often left by another ACME client.", "Remove it, then create the CNAME."},
	{"zone-not-found", "The zone does not exist in DNS", "No name server answers for the domain: it is not registered, or not delegated.", "Check the spelling, the registration, and the name servers at the registrar."},
	{"nameservers-disagree", "The zone's name servers disagree", "Some of the zone's name servers have the CNAME and others have not.", "Most often this passes within minutes. If not, check that all of them serve the same zone."},
	{"nameserver-lame", "A name server does not answer for the zone", "A name server that the zone is delegated to does not serve it.", "Remove it from the delegation at the registrar, or set the zone up there."},
	{"negative-cached", "Resolvers still remember that it was missing", "The zone's name servers have the CNAME, but resolvers keep their earlier answer until its time is over.", "Wait until the time that is shown; nothing else is needed."},
	{"dnssec-bogus", "DNSSEC does not validate", "The zone's signatures or its DS record at the parent are wrong, so resolvers refuse its answers.", "Mend the DNSSEC setup at the DNS host, or remove the DS record at the registrar."},
	{"resolver-unreachable", "The resolvers could not be asked", "No resolver answered, so nothing was learned; the earlier finding stands.", "Nothing: it is asked again by itself."},
	{"delegation-timeout", "The CNAME did not come", "The CNAME was looked for for 30 days and not found, so checking has stopped.", "Create the record in delegation, then ask again with POST …/verify."},
	{"awaiting-issue", "Ready, and told to wait", "The CNAME is there, and auto_issue is off.", "Ask for the certificate with POST …/issue."},
	{"caa-forbids", "CAA records forbid the CA", "The domain's CAA records do not allow the CA (RFC 8659).", "Add a CAA record that allows it, or remove those that forbid it."},
	{"caa-lookup-failed", "CAA records could not be looked up", "The domain's name servers do not answer the question for CAA, and a CA must not issue then.", "Check that the zone's name servers answer for CAA records."},
}
