package controlplane

// requestCodes are about a request as such, before any object is looked up.
var requestCodes = appearIn(InProblem, []Code{
	{Code: "token-missing", Title: "Missing API token",
		Cause: "The request has no API token, or does not send it as exactly one bearer token.",
		Fix: "Send the header Authorization: Bearer dcv_… with an API token of your " +
			"organization."},
	{Code: "token-invalid", Title: "Unknown API token",
		Cause: "The token is malformed, was revoked, or belongs to another installation.",
		Fix: "Check that you copied the whole token: 40 characters that start with dcv_. If it " +
			"was revoked, create another token."},
	{Code: "token-expired", Title: "Expired API token",
		Cause: "The token's expiry has passed.",
		Fix:   "Create a new token and replace this one."},
	{Code: "token-rotated", Title: "Rotated secret",
		Cause: "The token was rotated: it has a new secret, and the grace period of the previous " +
			"secret is over.",
		Fix: "Replace the previous secret with the new one."},
	{Code: "scope-missing", Title: "Missing scope",
		Cause: "Each operation needs one scope, which the API description lists as x-scope. This " +
			"token does not have it.",
		Fix: "Use a token that has the scope, or create one."},
	{Code: "token-restricted", Title: "Token restricted to some domains",
		Cause: "The token was created for specific domains, so it can neither add domains nor " +
			"use others.",
		Fix: "Use a token without a restriction to domains."},
	{Code: "malformed-json", Title: "Malformed JSON body",
		Cause: "The body is empty, is not one JSON object in UTF-8, or has more data after it.",
		Fix:   "Send one JSON object; detail states where it is malformed."},
	{Code: "malformed-csv", Title: "Malformed CSV body",
		Cause: "The first line of CSV must name the columns. Fields are separated by commas, " +
			"semicolons, or tabs: by the most frequent one in that line, or by the one that a line " +
			"sep=… before it names. A field that contains it, a line break, or a quotation mark " +
			"must be in quotation marks, with each quotation mark in it doubled. The text must be " +
			"in UTF-8 or UTF-16.",
		Fix: "Correct the line that detail names. In a spreadsheet, name the columns in the first " +
			"row, and save the file as CSV UTF-8."},
	{Code: "body-incomplete", Title: "Incomplete body",
		Cause: "The connection closed or stalled before the whole body was received.",
		Fix:   "Send the request again."},
	{Code: "body-too-large", Title: "Body too large",
		Cause: "The body of a request can have at most 1 MiB.",
		Fix:   "Split the request into smaller ones."},
	{Code: "unsupported-media-type", Title: "Unsupported media type",
		Cause: "Bodies must be application/json in UTF-8, without a content coding; some " +
			"operations also accept text/csv.",
		Fix: "Send Content-Type: application/json, and the body uncompressed."},
	{Code: "malformed-http", Title: "Malformed HTTP request",
		Cause: "The request line or a header does not conform to HTTP/1.1 (RFC 9112), so the " +
			"request could not be read.",
		Fix: "Send the request with an HTTP library, and check the proxies in between."},
	{Code: "headers-too-large", Title: "Headers too large",
		Cause: "The request line and the headers together can have at most 64 KiB.",
		Fix:   "Send fewer or shorter headers, cookies, and query parameters."},
	{Code: "transfer-encoding-unsupported", Title: "Unsupported transfer encoding",
		Cause: "The header Transfer-Encoding has a value other than chunked.",
		Fix:   "Send the body with Content-Length, or with Transfer-Encoding: chunked."},
	{Code: "expectation-failed", Title: "Unsupported expectation",
		Cause: "The header Expect has a value other than 100-continue.",
		Fix:   "Send the request without the header Expect."},
	{Code: "http-version-unsupported", Title: "Unsupported HTTP version",
		Cause: "The request is neither HTTP/1.1 nor HTTP/1.0.",
		Fix:   "Send the request as HTTP/1.1."},
	{Code: "malformed-query", Title: "Malformed query string",
		Cause: "The part of the URL after the question mark is not properly encoded, or has more " +
			"than 10,000 parameters.",
		Fix: "Percent-encode each name and value, and join them with &."},
	{Code: "malformed-request", Title: "Malformed request",
		Cause: "Several parameters or fields are unknown or unreadable.",
		Fix:   "Correct what errors lists; each entry names its place."},
	{Code: "unknown-parameter", Title: "Unknown query parameter",
		Cause: "The operation has no query parameter with this name. It is rejected rather than " +
			"ignored, so that a misspelled filter does not list everything.",
		Fix: "Remove the parameter, or correct its spelling; fix lists the parameters of the " +
			"operation."},
	{Code: "invalid-parameter", Title: "Invalid parameter",
		Cause: "A query parameter or header has an invalid value, is missing, or was sent twice.",
		Fix:   "Correct the parameter that errors names."},
	{Code: "invalid-limit", Title: "Invalid limit",
		Cause: "limit must be an integer from 1 to 200.",
		Fix:   "Send a number in this range, or leave it out for 50."},
	{Code: "invalid-cursor", Title: "Invalid cursor",
		Cause: "A cursor continues the listing that returned it: the same operation, " +
			"organization, filters, and order.",
		Fix: "Send next_cursor of the previous page with the same parameters, or start over " +
			"without cursor."},
	{Code: "event-id-expired", Title: "Event ID older than the log",
		Cause: "The log is kept for the retention period of the organization's plan. The ID in " +
			"Last-Event-ID is older, so events after it may have been removed. An event stream " +
			"sends this as the event reset, and continues with new events.",
		Fix: "Read the current state of the domains, then follow events without Last-Event-ID."},
	{Code: "unknown-field", Title: "Unknown field",
		Cause: "The request has a field that the operation does not know. It is rejected rather " +
			"than ignored, so that a misspelled field is not lost.",
		Fix: "Remove the field, or correct its spelling; fix lists the fields of the operation."},
	{Code: "replacing-invalid", Title: "Object can't be replaced",
		Cause: "replacing must be the ID of an object of the organization, of the type that the " +
			"request creates. It can't be the caller's own membership.",
		Fix: "Send the ID of the object that the new one replaces, or leave replacing out."},
	{Code: "no-such-path", Title: "Unknown path",
		Cause: "The API has no operation at this path.",
		Fix:   "Check the path against the API description. Paths have no trailing slash."},
	{Code: "method-not-allowed", Title: "Method not allowed",
		Cause: "The path exists, but does not support this HTTP method.",
		Fix:   "Use one of the methods in the Allow header."},
	{Code: "not-found", Title: "Object not found",
		Cause: "The token's organization has no such object, or the token has no access " +
			"to it. The response is the same for objects of other organizations.",
		Fix: "Check the ID, and that the token belongs to the organization that owns " +
			"the object.",
		DashboardFix: "It may have been deleted or belong to another organization. Check the " +
			"URL."},
	{Code: "precondition-failed", Title: "Object changed",
		Cause: "If-Match names an outdated version: another client, or the service itself, has " +
			"changed the object since.",
		Fix: "Fetch the object again and resend the request with its new ETag, including the " +
			"quotes, in If-Match."},
	{Code: "idempotency-key-reused", Title: "Idempotency-Key already used",
		Cause: "In the last 24 hours, the key was sent with another method, path, or body, or " +
			"with another token.",
		Fix: "Use a new key for each request, and the same key only to retry the same request."},
	{Code: "idempotency-in-progress", Title: "Request in progress",
		Cause: "A request with the same Idempotency-Key is in progress.",
		Fix:   "Send the request again after the time in Retry-After to get its response."},
	{Code: CodeRateLimited, Title: "Too many requests",
		Cause: "The organization has made as many requests as its plan includes for the " +
			"period; or a session, a person, or a client network without a credential has " +
			"reached its limit.",
		Fix: "Wait for the time in Retry-After. The header RateLimit in every response " +
			"states how many requests the organization has left. A larger plan includes more.",
		DashboardFix: "Wait a moment, then retry."},
	{Code: "too-many-streams", Title: "Too many open streams",
		Cause: "Open event streams, live dashboard pages, and requests with wait are counted " +
			"together. The token or session, or the organization as a whole, has as many open on " +
			"this server as the plan includes.",
		Fix: "Close streams that are not needed: one stream has all events of the " +
			"organization. Or retry after the time in Retry-After. A larger plan includes more."},
	{Code: "too-many-failures", Title: "Too many failed authentications",
		Cause: "Requests from this client network (an IPv4 address, or an IPv6 /64) " +
			"repeatedly had invalid, expired, or revoked credentials. Until the time in " +
			"Retry-After, its credentials are rejected without a lookup, except those that were " +
			"valid within the last minutes.",
		Fix: "Stop or fix the client that sends the invalid credential, wait for the " +
			"time in Retry-After, and send a valid token.",
		DashboardFix: "Wait a minute, then sign in again. If a program on your network uses an " +
			"expired token, replace or stop it."},
	{Code: "diagnosis-busy", Title: "Too many concurrent diagnoses",
		Cause: "A diagnosis sends dozens of DNS queries, so an organization can have 4 in " +
			"progress at a time, and the service has a total for all organizations.",
		Fix:          "Wait until one is finished, or for the time in Retry-After, then retry.",
		DashboardFix: "Wait until one is finished, then retry."},
	{Code: "export-busy", Title: "Too many concurrent exports",
		Cause: "An organization can have 2 exports in progress at a time, and the service has a " +
			"total for all organizations.",
		Fix: "Wait until one is finished, or for the time in Retry-After, then retry."},
	{Code: "diagnosis-timeout", Title: "Diagnosis timeout",
		Cause: "Resolvers, or the domain's name servers, did not answer all queries within 10 " +
			"seconds, so the diagnosis has no result.",
		Fix: "Try again. If the error repeats, check that the domain's name servers answer; " +
			"the domain's conditions show the last result."},
	{Code: "timeout", Title: "Request timeout",
		Cause: "The response was not ready in time. The requested change may have been made.",
		Fix:   "Fetch the object, and retry the request if it has not changed."},
	{Code: "database-unavailable", Title: "Database unavailable", In: InProblem | InJob,
		Cause: "The service cannot reach its database. Nothing was changed.",
		Fix:   "Retry after the time in Retry-After."},
	{Code: "internal", Title: "Internal error",
		Actor: PartyOperator, In: InProblem | InCondition | InJob,
		Cause: "An unexpected error occurred in the service. It was logged with the request ID.",
		Fix:   "Try again. If the error repeats, report the request ID to the operator."},
})
