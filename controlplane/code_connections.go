package controlplane

// connectionCodes are about connections to customers' DNS hosts.
var connectionCodes = appearIn(InProblem, []Code{
	{Code: CodeCredentialsInvalid, Title: "Invalid credentials",
		Cause: "The DNS host rejects the credentials, they do not permit what the connection is " +
			"for, or they do not have the form that its type requires.",
		Fix: "Send the credentials as they are configured at the DNS host."},
})
