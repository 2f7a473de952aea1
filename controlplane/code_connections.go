package controlplane

// connectionCodes are about connections to customers' DNS hosts.
var connectionCodes = appearIn(InProblem, []Code{
	{Code: CodeConnectionBusy, Title: "DNS connection busy", Actor: PartyService,
		Cause: "Calls to the DNS host are in progress, and only a few run at a time.",
		Fix:   "Retry at retry_at."},
	{Code: CodeConnectionInvalid, Title: "DNS connection invalid",
		Cause: "The DNS host rejects the credentials of the connection, or does not permit what " +
			"the connection is for.",
		Fix:          "PATCH the connection with valid credentials, or fix them at the DNS host.",
		DashboardFix: "Replace the credentials of the connection, or fix them at the DNS host."},
	{Code: CodeHostUnreachable, Title: "DNS host unreachable", Actor: PartyService,
		Cause: "The DNS host did not respond, or not usefully.",
		Fix:   "Retry later. If the cause remains, check the DNS host."},
	{Code: CodeCredentialsInvalid, Title: "Invalid credentials",
		Cause: "The DNS host rejects the credentials, they do not permit what the connection is " +
			"for, or they do not have the form that its type requires.",
		Fix: "Send the credentials as they are configured at the DNS host."},
})
