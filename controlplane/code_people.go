package controlplane

// peopleCodes are about sessions, members, invitations, and the organization as a whole.
var peopleCodes = appearIn(InProblem, []Code{
	{Code: "session-ended", Title: "Session expired",
		Cause: "The session of the cookie has ended: you signed out, did not use it for 12 " +
			"hours, ended it on another device, it is 30 days old, or you are no longer a member " +
			"of the organization. A request that was held open also ends when its session " +
			"switches to another organization.",
		Fix: "Sign in again. In a program, use an API token instead."},
	{Code: "session-required", Title: "Sign-in required",
		Cause: "The operation needs a signed-in user: it manages sessions, or transfers the " +
			"ownership of the organization. API tokens cannot do this.",
		Fix: "Sign in on the dashboard. Sessions are listed in the settings; an owner " +
			"transfers the ownership on the page of the new owner."},
	{Code: "organizations-closed", Title: "New organizations disabled",
		Cause: "The operator of this service creates the organizations: sign-up is by " +
			"invitation only.",
		Fix: "Ask the operator for another organization."},
	{Code: "organization-limit", Title: "Too many organizations",
		Cause: "A user can own at most 5 organizations.",
		Fix: "Delete an organization that you no longer need, or make another member the owner " +
			"of one and leave it."},
	{Code: "cross-origin", Title: "Cross-origin request",
		Cause: "Requests with a session that change something are accepted only from this " +
			"service's own pages, because a browser sends the cookie with requests from any " +
			"site.",
		Fix: "Use the dashboard, or send an API token."},
	{Code: "role-missing", Title: "Insufficient role",
		Cause: "The role in the organization determines what a signed-in user can do: a member " +
			"can view, an admin can also change domains, tokens, and webhooks, and an owner can " +
			"do everything.",
		Fix: "Ask a member with the role that fix names, or request a higher role."},
	{Code: "role-unknown", Title: "Unknown role",
		Cause:        "The roles are owner, admin, and member.",
		Fix:          "Send one of these roles.",
		DashboardFix: "Choose one of the roles."},
	{Code: "role-exceeds", Title: "Role exceeds the caller",
		Cause: "Callers can grant at most their own rights. Only a signed-in owner can invite, " +
			"change, and remove owners. A token can do this with admins only if it has every " +
			"scope of an admin, no domain_ids, and no expiry.",
		Fix: "Use such a token for admins, or sign in on the dashboard as an owner."},
	{Code: "member-exists", Title: "Member already exists",
		Cause: "The GitHub account belongs to a member of the organization, or is already " +
			"invited; existing_id is the user's ID.",
		Fix: "Change the role with PATCH /api/members/{member}."},
	{Code: "member-declined", Title: "Invitation declined",
		Cause: "The person declined the invitation, and is not invited again automatically; " +
			"existing_id is the user's ID.",
		Fix: "Contact the person first. Then delete the invitation with DELETE " +
			"/api/members/{member}, and send a new one."},
	{Code: "member-expired", Title: "Invitation expired",
		Cause: "The person did not accept the invitation in time; existing_id is the user's ID.",
		Fix:   "Send a new invitation with POST /api/members."},
	{Code: "invitation-changed", Title: "Invitation changed",
		Cause: "The role in the invitation changed after its page was shown, so it was not " +
			"accepted.",
		Fix: "Read the invitation again, then accept or decline it."},
	{Code: "token-in-use", Title: "Token would revoke itself",
		Cause: "Removing a member or changing the role revokes the tokens that the member " +
			"created, and the calling token is one of these.",
		Fix: "Use a token that another member created, or keep the tokens with tokens=keep and " +
			"revoke them one by one."},
	{Code: "member-unknown", Title: "Unknown member",
		Cause: "No member of the organization has this ID or login, or the person has not " +
			"accepted the invitation.",
		Fix: "Identify the member by id or by GitHub login; GET /api/members lists them."},
	{Code: "last-owner", Title: "Last owner",
		Cause: "An organization always has an owner, and this request would remove the last one.",
		Fix: "Make another member an owner first, transfer the organization with POST " +
			"/api/organization/transfer, or delete it."},
	{Code: "not-an-owner", Title: "Not an owner",
		Cause: "Only an owner can transfer the organization, and the member in from is not an " +
			"owner.",
		Fix: "Send an owner in from."},
	{Code: "transfer-to-self", Title: "Transfer to the same member",
		Cause: "from and to identify the same member.",
		Fix:   "Send another member in to."},
	{Code: "login-unknown", Title: "Unknown GitHub login",
		Cause: "GitHub has no person with this login. GitHub organizations cannot be members.",
		Fix: "Check the spelling. If you don't know the login, create an invitation and send " +
			"its link."},
	{Code: "too-many-lookups", Title: "Too many GitHub lookups",
		Cause: "GitHub limits how many logins this service can look up in an hour. Each " +
			"organization and each person has a share of this limit, and has used it up; or all " +
			"organizations together have.",
		Fix: "Wait for the time in Retry-After, or create an invitation and send its " +
			"link, which needs no lookup.",
		DashboardFix: "Retry later, or invite the person with a link."},
	{Code: "too-many-sign-ins", Title: "Too many sign-ins",
		Cause: "Too many sign-ins were started from this client network (an IPv4 address, " +
			"or an IPv6 /64).",
		Fix:          "Wait for the time in Retry-After, then sign in again.",
		DashboardFix: "Wait a minute, then sign in again."},
	{Code: "too-many-organizations", Title: "Too many new organizations",
		Cause: "A person can create only a few organizations a day, since each has the " +
			"limits of its plan.",
		Fix: "Use an organization that you belong to, or try again after the time in " +
			"Retry-After.",
		DashboardFix: "Retry tomorrow, or use an existing organization."},
	{Code: "github-unavailable", Title: "GitHub unavailable", Actor: PartyService,
		Cause: "GitHub did not answer a lookup in time, or rejects lookups for a while.",
		Fix: "Try again later, or create an invitation: GitHub is not needed until it is " +
			"accepted."},
	{Code: "sign-in-refused", Title: "Sign-in not confirmed by GitHub",
		Cause: "GitHub did not accept the code of the sign-in: it was already used, is too old, " +
			"or the GitHub app is configured differently.",
		Fix: "Sign in again. If the error repeats, the operator compares the client ID, " +
			"secret, and callback URL with those of the GitHub app."},
	{Code: "sign-up-closed", Title: "Invitation required",
		Cause: "The signed-in account belongs to no organization of this installation, and new " +
			"organizations are created by invitation only (DCVAAS_SIGN_UP is invited).",
		Fix: "Ask an owner of the organization for an invitation and open its link, or sign in " +
			"with another GitHub account."},
	{Code: "github-not-configured", Title: "GitHub not configured", Actor: PartyOperator,
		Cause: "GitHub is not configured in this installation, so logins cannot be looked up.",
		Fix:   "Ask the operator to set DCVAAS_GITHUB_CLIENT_ID and DCVAAS_GITHUB_CLIENT_SECRET."},
	{Code: "confirm-mismatch", Title: "Confirmation does not match the name",
		Cause: "Deleting an organization requires its name as confirmation, so that none is " +
			"deleted by mistake.",
		Fix: "Send the exact name of the organization, percent-encoded, as confirm."},
})
