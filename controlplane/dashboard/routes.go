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
	get := func(path string, h http.HandlerFunc) {
		r.HandleFunc(path, h).Methods(http.MethodGet,
			http.MethodHead)
	}
	post := func(path string, h http.HandlerFunc) { r.HandleFunc(path, h).Methods(http.MethodPost) }

	get("/", d.page(redirectToDomains))
	get("/login", d.page(d.loginPage))
	post("/login", d.page(d.devSignIn))
	get("/login/github", d.page(d.startGitHubSignIn))
	get(CallbackPath, d.page(d.finishGitHubSignIn))
	post("/logout", d.page(d.signOut))

	get("/organizations", d.signedIn(d.organizationsPage))
	post("/organizations/{organization}/switch", d.signedIn(d.switchOrganization))
	get(invitedPath, d.page(d.invitedPage))
	post(invitedPath+"/{organization}/accept", d.page(d.acceptInvited))
	post(invitedPath+"/{organization}/decline", d.page(d.declineInvited))
	get("/invitations/{secret}", d.page(d.invitationPage))
	post("/invitations/{secret}", d.page(d.acceptInvitation))
	post("/invitations/{secret}/github", d.page(d.startGitHubJoin))

	get("/domains", d.signedIn(d.domainsPage))
	post("/domains", d.allowed(controlplane.ScopeDomainsWrite, d.addDomain))
	get("/domains/{domain}", d.signedIn(d.domainPage))
	// HEAD would never return
	r.HandleFunc("/domains/{domain}/events", d.signedIn(d.domainEvents)).Methods(http.MethodGet)
	post("/domains/{domain}/check", d.allowed(controlplane.ScopeDomainsWrite, d.requestCheck))
	post("/domains/{domain}/issue", d.allowed(controlplane.ScopeDomainsWrite, d.requestIssue))
	post("/domains/{domain}/renew", d.allowed(controlplane.ScopeDomainsWrite, d.requestRenew))
	get("/jobs", d.signedIn(d.jobsPage))
	post("/jobs/{job}/retry", d.allowed(controlplane.ScopeJobsWrite, d.retryJob))
	get("/expiry", d.signedIn(d.expiryPage))
	get("/certificates/{certificate}", d.signedIn(d.certificatePage))
	get("/certificates/{certificate}/{part:fullchain|leaf|chain}.pem",
		d.signedIn(d.downloadCertificate))
	get("/certificates/{certificate}/key", d.allowed(controlplane.ScopeCertificatesKey, d.keyPage))
	post("/certificates/{certificate}/key", d.allowed(controlplane.ScopeCertificatesKey,
		d.downloadKey))
	post("/certificates/{certificate}/pkcs12", d.allowed(controlplane.ScopeCertificatesKey,
		d.downloadPKCS12))
	get("/certificates/{certificate}/revoke", d.allowed(controlplane.ScopeCertificatesRevoke,
		d.revokePage))
	post("/certificates/{certificate}/revoke", d.allowed(controlplane.ScopeCertificatesRevoke,
		d.revokeCertificate))

	get("/settings", d.signedIn(redirectToSettings))
	get("/settings/organization", d.signedIn(d.organizationPage))
	post("/settings/organization", d.allowed(controlplane.ScopeOrganizationWrite,
		d.renameOrganization))
	post("/settings/organization/delete", d.allowed(controlplane.ScopeOrganizationWrite,
		d.deleteOrganization))
	post("/settings/organization/leave", d.signedIn(d.leaveOrganization))
	get(membersPath, d.signedIn(d.membersPage))
	post(membersPath, d.allowed(controlplane.ScopeMembersWrite, d.createInvitation))
	get(membersPath+"/{member}", d.allowed(controlplane.ScopeMembersWrite, d.memberPage))
	post(membersPath+"/{member}/role", d.allowed(controlplane.ScopeMembersWrite, d.changeRole))
	post(membersPath+"/{member}/transfer", d.allowed(controlplane.ScopeMembersWrite,
		d.transferOwnership))
	post(membersPath+"/{member}/remove", d.allowed(controlplane.ScopeMembersWrite, d.removeMember))
	post("/settings/invitations/{invitation}/revoke", d.allowed(controlplane.ScopeMembersWrite,
		d.revokeInvitation))
	get(farewellPath, d.page(d.farewellPage))

	get("/settings/tokens", d.allowed(controlplane.ScopeTokensRead, d.tokensPage))
	post("/settings/tokens", d.allowed(controlplane.ScopeTokensWrite, d.createToken))
	get("/settings/tokens/new", d.allowed(controlplane.ScopeTokensWrite, d.newTokenPage))
	post("/settings/tokens/revoke-all", d.allowed(controlplane.ScopeTokensWrite, d.revokeTokens))
	get("/settings/tokens/{token}", d.allowed(controlplane.ScopeTokensRead, d.tokenPage))
	post("/settings/tokens/{token}/rename", d.allowed(controlplane.ScopeTokensWrite, d.renameToken))
	post("/settings/tokens/{token}/rotate", d.allowed(controlplane.ScopeTokensWrite, d.rotateToken))
	post("/settings/tokens/{token}/revoke-previous", d.allowed(controlplane.ScopeTokensWrite,
		d.revokePreviousTokenSecrets))
	post("/settings/tokens/{token}/revoke", d.allowed(controlplane.ScopeTokensWrite, d.revokeToken))
	get(sessionsPath, d.signedIn(d.sessionsPage))
	post(sessionsPath+"/end-others", d.signedIn(d.endOtherSessions))
	post(sessionsPath+"/{session}/end", d.signedIn(d.endSession))
	get("/settings/audit", d.allowed(controlplane.ScopeAuditRead, d.auditPage))

	get("/webhooks", d.signedIn(d.webhooksPage))
	post("/webhooks", d.allowed(controlplane.ScopeWebhooksWrite, d.addWebhook))
	get("/webhooks/{webhook}", d.signedIn(d.webhookPage))
	post("/webhooks/{webhook}", d.allowed(controlplane.ScopeWebhooksWrite, d.changeWebhook))
	post("/webhooks/{webhook}/rotate", d.allowed(controlplane.ScopeWebhooksWrite, d.rotateWebhook))
	post("/webhooks/{webhook}/revoke-previous", d.allowed(controlplane.ScopeWebhooksWrite,
		d.revokePreviousWebhookSecrets))
	post("/webhooks/{webhook}/delete", d.allowed(controlplane.ScopeWebhooksWrite, d.deleteWebhook))
	post("/webhooks/{webhook}/test", d.allowed(controlplane.ScopeWebhooksWrite, d.testWebhook))
	post("/webhooks/{webhook}/redeliver", d.allowed(controlplane.ScopeWebhooksWrite,
		d.redeliverRange))
	get("/webhooks/{webhook}/deliveries/{delivery}", d.signedIn(d.deliveryPage))
	post("/webhooks/{webhook}/deliveries/{delivery}/redeliver",
		d.allowed(controlplane.ScopeWebhooksWrite, d.redeliver))

	get("/static/{file}", d.assets.serve)

	r.NotFoundHandler = d.page(pageNotFound)
	r.MethodNotAllowedHandler = d.page(methodNotAllowed)
	return r
}

func redirectToDomains(w http.ResponseWriter, v *visit) error {
	http.Redirect(w, v.Request, "/domains", http.StatusSeeOther)
	return nil
}
