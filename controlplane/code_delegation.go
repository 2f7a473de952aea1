package controlplane

// delegationCodes are the causes that the doctor distinguishes, and the reasons for which a domain
// waits for its delegation or for CAA.
var delegationCodes = appearIn(InCondition|InJob|InDiagnosis, []Code{
	{Code: CauseOK, Title: "Delegation verified", Actor: PartyService,
		Cause: "TXT queries at the challenge name, as CAs send them, lead to the target.",
		Fix:   "No action needed."},
	{Code: ReasonCNAMEUnchecked, Title: "Not checked yet", In: InCondition, Pending: true,
		Cause: "The CNAME has not been checked yet.",
		Fix:   "Create the record in delegation. The check runs automatically."},
	{Code: ReasonDelegated, Title: "Delegation verified", Actor: PartyService, In: InCondition,
		Cause: "The CNAME points to the target, and CAA records allow a configured CA.",
		Fix:   "No action needed."},
	{Code: CauseCNAMEMissing, Title: "CNAME not found", Pending: true,
		Cause: "Neither the resolvers nor the zone's name servers return a CNAME at the " +
			"challenge name, to TXT or to CNAME queries.",
		Fix: "Create the record in delegation at your DNS host. It is checked automatically; " +
			"POST …/verify checks it immediately."},
	{Code: CauseCNAMEMismatch, Title: "CNAME points elsewhere",
		Cause: "The challenge name has a CNAME to another target.",
		Fix: "Change its target to the one in delegation. The current target may belong to " +
			"another service or organization: check that it is no longer needed."},
	{Code: CauseCNAMEDoubledLabel, Title: "Domain repeated in record name",
		Cause: "The DNS host appended the zone to a name that already contained it, as in " +
			"_acme-challenge.example.com.example.com.",
		Fix: "Enter the name without the zone, usually _acme-challenge, and delete the other " +
			"record."},
	{Code: CauseCNAMEProxied, Title: "CNAME hidden by a proxy",
		Cause: "The DNS host answers queries for the CNAME with its own addresses.",
		Fix:   "Turn off the proxy for this record (at Cloudflare: DNS only, the gray cloud)."},
	{Code: CauseCNAMEChainLoop, Title: "CNAME loop",
		Cause: "The CNAMEs from the challenge name lead back to a name in the same chain.",
		Fix:   "Point the challenge name to the target in delegation."},
	{Code: CauseCNAMEChainTooLong, Title: "CNAME chain too long",
		Cause: "CAs follow only a few CNAMEs.",
		Fix:   "Point the challenge name directly to the target in delegation."},
	{Code: CauseCNAMEMultiple, Title: "Several CNAMEs at one name",
		Cause: "The challenge name, or a name to which it points, has more than one CNAME. Their " +
			"order varies, and a CA follows any of them.",
		Fix: "Delete all of them except the CNAME to the target in delegation."},
	{Code: CauseTXTConflict, Title: "Conflicting TXT record",
		Cause: "The challenge name has a TXT record, usually from another ACME client, and a " +
			"CNAME cannot be next to it. A CA finds the TXT record instead of the CNAME.",
		Fix: "Delete the TXT record. If the CNAME is missing, create it."},
	{Code: CauseTXTOmitsCNAME, Title: "CNAME missing from TXT answers",
		Cause: "The zone's name servers return the CNAME to CNAME queries only. To TXT queries, " +
			"as CAs send them, they return no records or NXDOMAIN.",
		Fix: "Update or replace the name servers: they must return the CNAME to queries of every " +
			"type (RFC 1034 §4.3.2)."},
	{Code: CauseTXTLookupFailed, Title: "TXT lookup failure",
		Cause: "TXT queries at the challenge name fail or are not answered, although CNAME " +
			"queries are. CAs send TXT queries.",
		Fix: "Check that every name server of the zone answers TXT queries at the challenge " +
			"name. Update name servers, firewalls, and load balancers that fail on this type."},
	{Code: CauseTargetNotServed, Title: "Target not served", Actor: PartyService, Pending: true,
		Cause: "The CNAME points to the target, but the name servers of the validation zone do " +
			"not answer for it, so the check has no result, and the previous one remains valid.",
		Fix: "No action needed. The check is retried automatically. If the cause remains, the " +
			"operator checks the validation zone's name servers and its delegation."},
	{Code: CauseZoneNotFound, Title: "DNS zone not found",
		Cause: "No name server answers for the domain: it is not registered, or not delegated.",
		Fix:   "Check the spelling, the registration, and the name servers at the registrar."},
	{Code: CauseNameserversDisagree, Title: "Name servers disagree",
		Cause: "Some of the zone's name servers have the CNAME, and others do not.",
		Fix: "Wait a few minutes. If the cause remains, check that all name servers serve the " +
			"same zone."},
	{Code: CauseNameserverInconsistent, Title: "Contradictory answers of a name server",
		Cause: "A name server answers differently over UDP and over TCP, or to CNAME and to TXT " +
			"queries. A CA may get any of the answers.",
		Fix: "Wait a few minutes. If the cause remains, report it to the DNS host, or serve the " +
			"same zone on every server behind the address."},
	{Code: CauseNameserverLame, Title: "Name server does not serve the zone",
		Cause: "The zone is delegated to a name server that does not answer for it.",
		Fix: "Remove the name server from the delegation at the registrar, or set up the zone " +
			"there."},
	{Code: CauseNameserverNoUDP, Title: "Name server unreachable over UDP",
		Cause: "A name server of the zone answers over TCP but not over UDP, which resolvers use " +
			"first. If other name servers answer, this is a warning.",
		Fix: "Allow UDP port 53 to the name server. If every domain has this warning, the operator " +
			"allows outgoing UDP port 53."},
	{Code: CauseNameserverNoTCP, Title: "Name server unreachable over TCP",
		Cause: "A name server of the zone does not answer over TCP, which resolvers use if an " +
			"answer over UDP is truncated. While answers over UDP are complete, this is a warning.",
		Fix: "Allow TCP port 53 to the name server. If every domain has this warning, the operator " +
			"allows outgoing TCP port 53."},
	{Code: CauseNegativeCached, Title: "Negative answer cached", Actor: PartyService, Pending: true,
		Cause: "The zone's name servers have the CNAME, but resolvers still cache the answer " +
			"that it is missing.",
		Fix: "No action needed. The check is retried automatically."},
	{Code: CauseDNSSECBogus, Title: "DNSSEC validation failure",
		Cause: "The zone's signatures, or its DS record at the parent, are invalid, so resolvers " +
			"and CAs reject its answers.",
		Fix: "Fix the DNSSEC configuration at the DNS host, or remove the DS record at the " +
			"registrar."},
	{Code: CauseResolverUnreachable, Title: "Resolvers unreachable", Actor: PartyService,
		Cause: "No resolver answered, so the check has no result, and the previous one remains " +
			"valid.",
		Fix: "No action needed. The check is retried automatically. If the cause remains, the " +
			"operator checks the network path to the resolvers."},
	{Code: ReasonDelegationTimeout, Title: "Delegation timeout",
		In: InCondition | InJob, Resumes: true,
		Cause:        "The CNAME was not found within 30 days, so the checks have stopped.",
		Fix:          "Create the record in delegation, then request a check with POST …/verify.",
		DashboardFix: "Create the DNS record, then press “Check now”."},
	{Code: CauseCAAForbids, Title: "CA forbidden by CAA records",
		Cause: "The domain's CAA records do not allow the CA (RFC 8659).",
		Fix:   "Add a CAA record that allows the CA, or remove the records that forbid it."},
	{Code: CauseCAALookupFailed, Title: "CAA lookup failure",
		Cause: "The domain's name servers do not answer CAA queries, and CAs do not issue in " +
			"this case.",
		Fix: "Check that the zone's name servers answer CAA queries."},
})
