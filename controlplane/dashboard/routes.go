package dashboard

import (
	"net/http"

	"github.com/gorilla/mux"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// routes returns the router of the dashboard. Routes are not nested, so that mux responds with
// 405 to an unsupported method.
func (d *Dashboard) routes() http.Handler {
	r := mux.NewRouter()
	get := func(path string, h handler) {
		r.HandleFunc(path, d.page(h)).Methods(http.MethodGet, http.MethodHead)
	}
	get("/", redirectToDomains)
	get("/login", d.loginPage)
	get("/login/github", d.startGitHubSignIn)
	get(CallbackPath, d.finishGitHubSignIn)

	get("/organizations", signedIn(d.organizationsPage))
	get(invitedPath, d.invitedPage)
	get("/invitations/{secret}", d.invitationPage)

	get("/domains", signedIn(d.domainsPage))
	get("/domains.csv", signedIn(d.exportDomains))
	get(selectedPath, allowed(controlplane.ScopeDomainsWrite, d.selectDomains))
	get(selectionPath, allowed(controlplane.ScopeDomainsWrite, d.selectionPage))
	get(selectionResultPath, allowed(controlplane.ScopeDomainsWrite, d.selectionResultPage))
	get("/domains/{domain}", signedIn(d.domainPage))
	get(domainPath+"/settings", allowed(controlplane.ScopeDomainsWrite, d.domainSettingsPage))
	get(domainDNSPath, allowed(controlplane.ScopeDomainsWrite, d.domainDNSPage))
	get(domainDiagnosisPath, signedIn(d.domainDiagnosisPage))
	get("/domains/{domain}/records.{format:zone|csv}", signedIn(d.downloadRecords))
	// HEAD would never return
	r.HandleFunc("/domains/{domain}/events",
		d.page(signedIn(d.domainEvents))).Methods(http.MethodGet)
	get("/alerts", signedIn(d.alertsPage))
	get("/jobs", signedIn(d.jobsPage))
	get("/expiry", signedIn(d.expiryPage))
	get("/certificates/{certificate}", signedIn(d.certificatePage))
	get("/certificates/{certificate}/{part:fullchain|leaf|chain}.pem",
		signedIn(d.downloadCertificate))
	get("/certificates/{certificate}/key", allowed(controlplane.ScopeCertificatesKey, d.keyPage))
	get("/certificates/{certificate}/revoke", allowed(controlplane.ScopeCertificatesRevoke,
		d.revokePage))

	get("/settings", signedIn(redirectToSettings))
	get("/settings/organization", signedIn(d.organizationPage))
	get(membersPath, signedIn(d.membersPage))
	get(membersPath+"/{member}", allowed(controlplane.ScopeMembersWrite, d.memberPage))
	get(invitationLinkPath+readingPath, readOnce(allowed(controlplane.ScopeMembersWrite,
		d.invitationLinkPage)))
	get(farewellPath, d.farewellPage)

	get("/settings/tokens", allowed(controlplane.ScopeTokensRead, d.tokensPage))
	get("/settings/tokens/new", allowed(controlplane.ScopeTokensWrite, d.newTokenPage))
	get("/settings/tokens/{token}", allowed(controlplane.ScopeTokensRead, d.tokenPage))
	get(tokenSecretPath+readingPath, readOnce(allowed(controlplane.ScopeTokensWrite,
		d.tokenSecretPage)))
	get(connectionsPath, allowed(controlplane.ScopeConnectionsRead, d.connectionsPage))
	get(connectionPath, allowed(controlplane.ScopeConnectionsRead, d.connectionPage))
	get(acmeClientsPath, allowed(controlplane.ScopeACMEDNSRead, d.acmeClientsPage))
	get(accountPath, allowed(controlplane.ScopeACMEDNSRead, d.accountPage))
	get(accountPasswordPath+readingPath, readOnce(allowed(controlplane.ScopeACMEDNSWrite,
		d.accountPasswordPage)))
	get(registrationURLPath+readingPath, readOnce(allowed(controlplane.ScopeACMEDNSWrite,
		d.registrationURLPage)))
	get(sessionsPath, signedIn(d.sessionsPage))
	get("/settings/audit", allowed(controlplane.ScopeAuditRead, d.auditPage))

	get("/webhooks", signedIn(d.webhooksPage))
	get("/webhooks/{webhook}", signedIn(d.webhookPage))
	get(webhookSecretPath+readingPath, readOnce(allowed(controlplane.ScopeWebhooksWrite,
		d.webhookSecretPage)))
	get("/webhooks/{webhook}/deliveries/{delivery}", signedIn(d.deliveryPage))

	for _, f := range d.forms() {
		r.HandleFunc(f.path, d.page(d.submit(f))).Methods(http.MethodPost)
	}
	r.HandleFunc("/static/{file}", d.assets.serve).Methods(http.MethodGet, http.MethodHead)

	r.NotFoundHandler = d.page(pageNotFound)
	r.MethodNotAllowedHandler = d.page(methodNotAllowed)
	return r
}

func redirectToDomains(w http.ResponseWriter, v *visit) error {
	http.Redirect(w, v.Request, "/domains", http.StatusSeeOther)
	return nil
}
