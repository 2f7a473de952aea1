package controlplane

// objectCodes are about domains, jobs, certificates, tokens, and organizations.
var objectCodes = appearIn(InProblem, []Code{
	{Code: "name-empty", Title: "Empty name",
		Cause: "A domain needs a name.",
		Fix:   "Send a domain name such as example.com."},
	{Code: "name-invalid", Title: "Invalid name",
		Cause: "A domain name has labels of letters, digits, and hyphens, with 1 to 63 " +
			"characters each; international names follow IDNA2008, which has no emoji. Names of " +
			"other objects have 1 to 200 characters.",
		Fix: "Correct the name. For a domain, send only the host name, without scheme, port, " +
			"or path."},
	{Code: "name-too-long", Title: "Name too long",
		Cause: "With the prefix _acme-challenge., a name must fit into the 253 characters that " +
			"DNS allows.",
		Fix: "Use a name of at most 237 characters."},
	{Code: "name-too-many-labels", Title: "Too many labels in the name",
		Cause: "CAs issue certificates for names of at most 10 labels, not counting a wildcard's " +
			"\"*\".",
		Fix: "Use a name of at most 10 labels."},
	{Code: "name-wildcard", Title: "Wildcard in name",
		Cause: "A wildcard is an option of the domain, not part of its name.",
		Fix: "Send the name without \"*.\" and set wildcard to true: the certificate " +
			"then covers both.",
		DashboardFix: "Enter the name without “*.” and select “Include all subdomains one " +
			"level down”."},
	{Code: "name-ip", Title: "IP address instead of a name",
		Cause: "A DNS-01 challenge proves control of names only.",
		Fix:   "Send a domain name."},
	{Code: "name-public-suffix", Title: "Public suffix",
		Cause: "Only the registry controls a suffix in the ICANN section of the Public Suffix " +
			"List, so CAs issue no certificates for it, and no wildcards directly below it. " +
			"Suffixes of the private section, such as github.io, are accepted for their owners.",
		Fix: "Send a name below it, such as example.com rather than com."},
	{Code: "name-unknown-tld", Title: "Unknown top-level domain",
		Cause: "The name does not end in a top-level domain of the public DNS, so CAs issue no " +
			"certificates for it. The list of top-level domains is that of the service's version.",
		Fix: "Send a name that is registered in the public DNS, such as example.com. A private " +
			"name needs a private CA. For a new top-level domain, ask the operator for an update."},
	{Code: "names-too-many", Title: "Too many names in the certificate",
		Cause: "CAs issue certificates for at most 100 names, and with the profiles tlsserver " +
			"and shortlived for at most 25.",
		Fix: "Divide the names among several certificates, or choose another profile."},
	{Code: "names-too-long", Title: "Names too long in total",
		Cause: "CAs limit the total length of the names in a certificate.",
		Fix:   "Divide the names among several certificates."},
	{Code: "name-duplicate", Title: "Name listed more than once",
		Cause: "A certificate contains each name once. Names are compared in lowercase A-labels. " +
			"The domain's name and, with wildcard, its wildcard are in the certificate already.",
		Fix: "Remove the name from additional_names."},
	{Code: "name-redundant", Title: "Name covered by a wildcard",
		Cause: "A wildcard covers every name one level below it, and CAs reject certificates " +
			"with a wildcard and a name that it covers.",
		Fix: "Remove the name, or remove the wildcard."},
	{Code: "partial-with-csr", Title: "Partial certificate with a CSR",
		Cause: "CAs require the names of an order to be exactly those of its CSR, so no " +
			"certificate can be issued for a part of the names.",
		Fix: "Set issue_partial to false, or leave out csr_pem."},
	{Code: "name-special-use", Title: "Special-use name",
		Cause: "Names under .alt, .arpa, .internal, .invalid, .local, .localhost, and .onion are " +
			"not on the public Internet, so CAs issue no certificates for them.",
		Fix: "Send a name that is registered in the public DNS, such as example.com. A private " +
			"name needs a private CA."},
	{Code: "name-challenge", Title: "Challenge name",
		Cause: "_acme-challenge is the place of the proof, not a name that certificates are " +
			"issued for.",
		Fix: "Send the name that the certificate is for."},
	{Code: "name-in-zone", Title: "Name in the validation zone",
		Cause: "The validation zone serves only the targets of CNAMEs, so a CNAME for such a " +
			"name would never be found.",
		Fix: "Send the name that the certificate is for."},
	{Code: "domain-exists", Title: "Domain already exists",
		Cause: "The organization already has a domain with this name; existing_id is its ID.",
		Fix:   "Use the existing domain, or delete it first."},
	{Code: "delegation-in-use", Title: "Delegation in use",
		Cause: "Domains use the delegation for their names, or acme-dns accounts use its target, " +
			"so it can't be deleted. The detail lists them.",
		Fix: "Delete these domains, or remove the name from them, first. To have the delegation " +
			"end with its last use, set pinned to false. Set delegation_id of the accounts to null."},
	{Code: "delegation-unknown", Title: "Unknown delegation",
		Cause: "delegation_id is neither the ID nor the name of a delegation in this organization.",
		Fix:   "Send the ID of an existing delegation, or create one with POST /api/delegations."},
	{Code: "network-invalid", Title: "Invalid network",
		Cause: "An entry of allow_from is not a network in CIDR notation.",
		Fix:   "Send networks such as 192.0.2.0/24 or 2001:db8::/32. One address is 192.0.2.1/32."},
	{Code: "delegation-unused", Title: "Delegation not in use",
		Cause: "No domain uses the delegation. Only its pin keeps it, so it can't be unpinned.",
		Fix:   "Delete it with DELETE /api/delegations/{delegation}."},
	{Code: "domain-not-allowed", Title: "Domain not allowed for the token",
		Cause: "The domain, or the object that belongs to it, is in the token's organization, " +
			"but the token is restricted to other domains.",
		Fix: "Use a token whose domain_ids include the domain, or one without domain_ids."},
	{Code: "domain-unknown", Title: "Unknown domain",
		Cause: "An entry of domain_ids is not the ID of a domain in this organization.",
		Fix:   "Send IDs of existing domains."},
	{Code: "cname-and-other-data", Title: "Other records next to the CNAME",
		Cause: "A name with a CNAME can have no other records (RFC 1034 §3.6.2).",
		Fix:   "Delete the other records of the name."},
	{Code: "plan-limit", Title: "Plan limit",
		Cause: "The organization has as many domains, delegations, webhooks, API tokens, acme-dns " +
			"accounts, registration keys, or open invitations as its plan includes.",
		Fix: "Delete objects that are no longer needed, or move the organization to a larger " +
			"plan."},
	{Code: "key-type-mismatch", Title: "Key type does not match the CSR",
		Cause: "The key of the CSR has a type other than key_type.",
		Fix:   "Leave out key_type, or send a CSR with a key of that type."},
	{Code: "csr-malformed", Title: "Malformed CSR",
		Cause: "csr_pem must be one PKCS#10 certificate signing request in PEM.",
		Fix: "Send everything from -----BEGIN CERTIFICATE REQUEST----- to the END line, with " +
			"its line breaks, and nothing else."},
	{Code: "csr-has-private-key", Title: "Private key in the CSR",
		Cause: "A private key was sent with the CSR. It was not stored, but it was transmitted.",
		Fix:   "Generate a new key, and send only the CERTIFICATE REQUEST block."},
	{Code: "csr-key", Title: "Unsupported CSR key",
		Cause: "CSRs need an EC key on P-256 or P-384, or an RSA key of 2048, 3072, or 4096 bits " +
			"with the exponent 65537. Keys that are known to be weak are rejected.",
		Fix: "Create a CSR with one of these keys."},
	{Code: ReasonCSRKeyCompromised, Title: "Compromised CSR key",
		In: InProblem | InCondition | InJob, Resumes: true,
		Cause: "A certificate of the organization with the key of this CSR was revoked, " +
			"or is being revoked, because the key is compromised. Nothing is ordered with this " +
			"key, and no renewal is scheduled.",
		Fix: "Send a CSR with another key in csr_pem; an existing certificate is then " +
			"renewed. To revoke a certificate, leave out replace.",
		DashboardFix: "Send a CSR with another key as csr_pem, through the API or Terraform; the " +
			"certificate is then renewed. You can revoke it now without ordering a new one."},
	{Code: "csr-signature", Title: "Invalid CSR signature",
		Cause: "The signature does not match the key, or uses an algorithm that CAs reject, such " +
			"as SHA-1 or RSASSA-PSS.",
		Fix: "Create a CSR signed with SHA-256, and with PKCS#1 v1.5 padding for an RSA key, and " +
			"send it unchanged."},
	{Code: "csr-extension", Title: "Extension that CAs reject",
		Cause: "The CSR requests OCSP must-staple, which ended with OCSP, or something that only " +
			"CA certificates have. CAs ignore all other extensions, except for the names.",
		Fix: "Create a CSR without the extension."},
	{Code: "csr-names", Title: "CSR names do not match the domain",
		Cause: "The CSR must contain exactly the names of the domain's certificate, as DNS " +
			"subject alternative names in A-labels. A common name must be one of them, and have " +
			"at most 64 characters.",
		Fix: "Create a CSR with the names that fix lists."},
	{Code: "profile-invalid", Title: "Invalid profile",
		Cause: "A profile is a word by which a CA names a kind of certificate. tlsclient ended " +
			"on July 8, 2026.",
		Fix: "Send a profile such as classic, tlsserver, or shortlived, or null for the CA's " +
			"default."},
	{Code: "chain-invalid", Title: "Invalid root name",
		Cause: "A preferred chain is identified by the common name of its root, as the CA writes " +
			"it.",
		Fix: "Send a name such as ISRG Root X1, without surrounding white space, or null for " +
			"the CA's default."},
	{Code: "ca-unknown", Title: "Unknown CA",
		Cause: "The CA is not configured in this installation.",
		Fix:   "Send a CA that errors lists, or null for the configured order."},
	{Code: "label-key-invalid", Title: "Invalid label key",
		Cause: "A key has 1 to 63 letters, digits, and the characters . _ / -, and its first and " +
			"last characters are letters or digits.",
		Fix: "Rename the label."},
	{Code: "no-certificate", Title: "No certificate to renew",
		Cause:        "The domain has no certificate that could be renewed.",
		Fix:          "Request the first certificate with POST /api/domains/{domain}/issue.",
		DashboardFix: "Press “Issue now” to order the first certificate."},
	{Code: "job-succeeded", Title: "Job already succeeded",
		Cause:        "Only failed jobs can be retried.",
		Fix:          "Request new work with verify, issue, or renew on the domain.",
		DashboardFix: "Use the buttons on the domain’s page to start a new job."},
	{Code: "key-not-held", Title: "Private key not stored",
		Cause: "The certificate was issued for your CSR, so the service never had its private key.",
		Fix:   "Use the key that the CSR was created with."},
	{Code: "key-removed", Title: "Private key removed",
		Cause: "The certificate was replaced more than 30 days ago or has expired, so its private key was removed.",
		Fix:   "Use the domain's current certificate and its private key."},
	{Code: "certificate-revoked", Title: "Certificate already revoked",
		Cause: "The certificate was revoked before this request.",
		Fix:   "No action needed."},
	{Code: "revocation-reason-unknown", Title: "Unknown revocation reason",
		Cause: "A subscriber can use only some of the revocation reasons of RFC 5280.",
		Fix:   "Send a reason that fix lists."},
	{Code: "password-empty", Title: "Missing password",
		Cause:        "A PKCS#12 file is encrypted with a password.",
		Fix:          "Send the password to encrypt the file with.",
		DashboardFix: "Enter a password for the file."},
	{Code: "password-characters", Title: "Unsupported characters in password",
		Cause: "The password of a PKCS#12 file can contain only characters of Unicode's basic " +
			"multilingual plane.",
		Fix: "Use letters, digits, and punctuation, but no emoji."},
	{Code: "scopes-empty", Title: "No scopes",
		Cause: "A token needs at least one scope.",
		Fix:   "Send the scopes that the token needs."},
	{Code: "scope-exceeds", Title: "Scope exceeds the caller's token",
		Cause: "The calling token does not have a scope that the new token would have.",
		Fix:   "Use a token that has the scope, or leave out the scope."},
	{Code: "domains-exceed", Title: "Domains exceed the caller's token",
		Cause: "The calling token is restricted to some domains, and the new token would include " +
			"others.",
		Fix: "Send only domains that the calling token includes."},
	{Code: "expires-in-past", Title: "Expiry in the past",
		Cause: "The expiry of a token must be in the future.",
		Fix:   "Send a time in the future, or null for no expiry."},
	{Code: "expires-exceeds", Title: "Expiry exceeds the caller's token",
		Cause: "The calling token expires, so a token that it creates cannot expire later.",
		Fix:   "Send an earlier expires_at."},
	{Code: "token-ended", Title: "Token expired",
		Cause: "An expired token cannot get a new secret.",
		Fix:   "Create a new token."},
	{Code: "too-many-secrets", Title: "Too many valid secrets",
		Cause: "A token or webhook has at most 5 valid secrets: the current one, and previous ones " +
			"in their grace period. A rotation does not end a grace period early.",
		Fix: "Revoke the previous secrets, with DELETE on the path previous-secrets of the token " +
			"or webhook, or wait until the grace period of one of them has ended.",
		DashboardFix: "Revoke the previous secrets on the page of the token or webhook, or wait " +
			"until the grace period of one of them has ended."},
	{Code: "token-exceeds", Title: "Token exceeds the caller",
		Cause: "Rotating a token returns its secret, so the token must not have more rights than " +
			"the caller.",
		Fix: "Use a token that has all of its scopes and domains, or rotate it with its own " +
			"secret."},
	{Code: "tier-unknown", Title: "Unknown plan",
		Cause: "The plans are free, pro, and agency.",
		Fix:   "Choose one of these plans."},
})
