package controlplane

// connectionCodes are about connections to customers' DNS hosts.
var connectionCodes = appearIn(InProblem, []Code{
	{Code: CodeConnectionBusy, Title: "DNS connection busy", Actor: PartyService,
		Cause: "Calls to the DNS host are in progress, and only a few run at a time. Or records " +
			"that are no longer needed are still to be removed there, before the connection can be " +
			"deleted.",
		Fix: "Retry at retry_at. To delete a connection and leave the records at the DNS host, " +
			"send records=keep."},
	{Code: ReasonApplyPending, Title: "CNAME is being created", In: InCondition, Pending: true,
		Actor: PartyService,
		Cause: "A job creates the CNAME through a DNS connection.",
		Fix:   "No action needed. The CNAME is checked as soon as it exists."},
	{Code: "connection-unknown", Title: "Unknown DNS connection",
		Cause: "connection_id is not the ID of a DNS connection of this organization.",
		Fix:   "Send the ID of an existing connection, or null."},
	{Code: CodeConnectionInvalid, Title: "DNS connection invalid",
		In: InProblem | InJob | InCondition, Resumes: true,
		Cause: "The DNS host rejects the credentials of the connection, or does not permit what " +
			"the connection is for.",
		Fix:          "PATCH the connection with valid credentials, or fix them at the DNS host.",
		DashboardFix: "Replace the credentials of the connection, or fix them at the DNS host."},
	{Code: CodeHostUnreachable, Title: "DNS host unreachable", Actor: PartyService,
		In:    InProblem | InJob,
		Cause: "The DNS host did not respond, or not usefully.",
		Fix:   "Retry later. If the cause remains, check the DNS host."},
	{Code: CodeDNSChanged, Title: "DNS records changed",
		Cause: "The names have other records at the DNS host than when the plan was made, or than " +
			"overwrite lists.",
		Fix: "Make a new plan, and apply it."},
	{Code: "plan-or-connection", Title: "Plan or connection",
		Cause: "The request has both plan_id and connection_id, or neither.",
		Fix:   "Send plan_id to apply a plan, or connection_id to create what is possible."},
	{Code: CodeDNSConflict, Title: "Other DNS records", In: InProblem | InCondition,
		Cause: "The name of the record has other records at the DNS host, which are not replaced " +
			"unless overwrite lists exactly these.",
		Fix: "Remove the other records at the DNS host, or list them in overwrite.",
		DashboardFix: "Remove the other records at the DNS host, or press “Create record” to " +
			"replace them."},
	{Code: CodeNoZone, Title: "Zone not in the connection", In: InProblem | InCondition,
		Cause: "The connection has no zone that contains the name, or the DNS host does not serve it.",
		Fix:   "Use a connection to the DNS host of the name's zone, or create the record manually."},
	{Code: CodeCredentialsInvalid, Title: "Invalid credentials",
		Cause: "The DNS host rejects the credentials, they do not permit what the connection is " +
			"for, or they do not have the form that its type requires.",
		Fix: "Send the credentials as they are configured at the DNS host."},
})
