package api

// issuanceProblems are how an order can fail. They stand in a job's last_error and a
// domain's conditions.
var issuanceProblems = []problemPage{
	{"ca-rate-limited", "A limit of the CA is reached", "The CA issues only so many certificates in a time.", "Nothing: the order waits until the CA allows it, or goes to another CA."},
	{"order-budget", "The organization's orders of the day are used up", "The organization has placed as many orders within 24 hours as its plan allows beside renewals that are due: four for each domain that it may have, at least 10. Deleted domains count.", "Nothing: the job goes on at its run_at. A larger plan allows more orders."},
	{"renewed-recently", "The certificate was renewed within the last hour", "A certificate that is not due is renewed by request at most once an hour. One that is revoked, or of which the options were changed, is renewed at once.", "Use the present certificate, or request the renewal again at retry_at."},
	{"ca-caa", "CAA records forbid the CA", "The CA has seen CAA records that do not allow it.", "Add a CAA record that allows this CA, or remove those that forbid it."},
	{"ca-dns", "The CA could not look up the challenge", "The CA's look-up of the challenge record failed.", "Check that the domain's DNS answers from everywhere, and that the CNAME is in place."},
	{"ca-connection", "The CA could not connect", "The CA could not reach what it validates by.", "Check that the name servers of the domain and of the validation zone can be reached from everywhere."},
	{"ca-unauthorized", "The CA did not find the proof", "The CA looked at the challenge name and did not find the value that it had asked for.", "Check that _acme-challenge of the domain is a CNAME to the target in delegation, and nothing else."},
	{"ca-bad-csr", "The CA refuses the certificate request", "The CA does not accept the certificate request.", "Send another CSR, or choose another key type."},
	{"ca-bad-key", "The CA refuses the key", "The CA does not accept the key, because of its type or because it is known to be compromised.", "Choose another key type, or make a new key for the CSR."},
	{"ca-rejected-identifier", "The CA does not issue for this name", "The CA's policy refuses the name.", "Order from another CA, or ask this one why it refuses the name."},
	{"ca-profile", "The CA has no such profile", "The CA does not offer the profile that the domain asks for.", "Choose one of the CA's profiles, or none."},
	{"ca-account", "The CA does not accept the account", "The CA refuses the account that orders are made with.", "The operator must check the contact address and the external account binding of this CA."},
	{"ca-already-revoked", "The certificate is revoked already", "The CA has revoked the certificate before.", "Nothing."},
	{"ca-already-replaced", "The certificate has its successor already", "The CA has issued a certificate that replaces this one.", "Nothing: an order is made that replaces none."},
	{"ca-bad-revocation-reason", "The CA does not accept the reason", "The CA does not take this reason for a revocation.", "Choose another reason."},
	{"ca-no-ari", "The CA offers no renewal information", "The CA does not say when a certificate is best renewed (RFC 9773).", "Nothing: certificates are renewed by their lifetime."},
	{"ca-ari-invalid", "The CA's renewal information makes no sense", "What the CA said of when the certificate is best renewed cannot be followed.", "Nothing: the certificate is renewed by its lifetime."},
	{"ca-no-dns-01", "The CA offers no DNS-01 challenge", "The CA offers only proofs of control that cannot be given by DNS.", "Order from another CA."},
	{"ca-order-not-ready", "The order is not ready", "The CA is not ready for the certificate request.", "Nothing: the order is looked at again."},
	{"ca-malformed", "The CA does not understand", "The CA does not know, or does not accept, what it was asked for.", "Nothing at first: a new order is made. When it persists, tell the operator."},
	{"ca-unreachable", "The CA is away", "The CA cannot be reached, or has an error of its own.", "Nothing for now: it is tried again, and another CA is asked where one is configured."},
	{"ca-slow", "The CA takes its time", "The CA has not come to an end within the time for one attempt.", "Nothing: the same order is looked at again."},
	{"certificate-mismatch", "The CA's certificate is not the one that was ordered", "The names, key or signatures of what the CA handed out are wrong, so it was not stored.", "Nothing at first: a new order is made. When it persists, tell the operator."},
	{"order-expired", "The order has expired", "The CA no longer has the order.", "Nothing: a new one is made."},
	{"order-interrupted", "The order was interrupted", "The work stopped in the middle, as when a worker is restarted.", "Nothing: the same order goes on."},
	{"orders-exhausted", "No CA could issue", "Every CA that is configured was tried, and none has issued.", "Look at the job's last error; mend its cause and retry the job."},
	{"zone-not-answering", "The validation zone does not answer", "The name servers of the validation zone did not show the challenge in time, so the CA was not asked.", "Nothing for now: it is tried again. When it persists, the operator must look at the name servers."},
}
