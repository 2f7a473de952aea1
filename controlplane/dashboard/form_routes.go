package dashboard

import (
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// Paths of pages with several forms.
const (
	domainPath             = "/domains/{domain}"
	certificatePath        = "/certificates/{certificate}"
	organizationPath       = "/settings/organization"
	deleteOrganizationPath = organizationPath + "/delete"
	memberPath             = membersPath + "/{member}"
	tokenPath              = tokensURL + "/{token}"
	webhookPath            = "/webhooks/{webhook}"
	deliveryPath           = webhookPath + "/deliveries/{delivery}"
	joinPath               = "/invitations/{secret}"
)

// formRoute is a path that accepts forms.
type formRoute struct {
	path    string
	page    string // path of the page that shows the form
	handler handler

	// always executes each request, without a key: a download, which is recorded every time, or a
	// sign-in, whose response has the secret of a session and must not be stored.
	always bool
}

// forms returns the routes of all forms.
func (d *Dashboard) forms() []formRoute {
	domains, jobs := controlplane.ScopeDomainsWrite, controlplane.ScopeJobsWrite
	key, revoke := controlplane.ScopeCertificatesKey, controlplane.ScopeCertificatesRevoke
	org, members := controlplane.ScopeOrganizationWrite, controlplane.ScopeMembersWrite
	tokens, hooks := controlplane.ScopeTokensWrite, controlplane.ScopeWebhooksWrite
	connections, acme := controlplane.ScopeConnectionsWrite, controlplane.ScopeACMEDNSWrite
	form := func(path, page string, h handler) formRoute {
		return formRoute{path: path, page: page, handler: h}
	}
	always := func(path, page string, h handler) formRoute {
		return formRoute{path: path, page: page, handler: h, always: true}
	}
	return []formRoute{
		always("/login", "/login", d.devSignIn),
		form("/logout", "/login", d.signOut),

		form("/organizations", "/organizations", signedIn(d.createOrganization)),
		form("/organizations/{organization}/switch", "/organizations",
			signedIn(d.switchOrganization)),
		form(invitedPath+"/{organization}/accept", invitedPath, d.acceptInvited),
		form(invitedPath+"/{organization}/decline", invitedPath, d.declineInvited),
		form(joinPath, joinPath, d.acceptInvitation),
		always(joinPath+"/github", joinPath, d.startGitHubJoin),

		form("/domains", "/domains", allowed(domains, d.addDomain)),
		form(selectionPath+"/check", selectionPath, allowed(domains, d.checkSelected)),
		form(selectionPath+"/renew", selectionPath, allowed(domains, d.renewSelected)),
		form(selectionPath+"/labels", selectionPath, allowed(domains, d.labelSelected)),
		form(selectionPath+"/delete", selectionPath, allowed(domains, d.deleteSelected)),
		form(domainPath+"/names", domainPath, allowed(domains, d.changeNames)),
		form(domainPath+"/settings", domainPath+"/settings",
			allowed(domains, d.changeDomainSettings)),
		form(domainPath+"/delete", domainPath+"/settings", allowed(domains, d.deleteDomain)),
		form(domainPath+"/check", domainPath, allowed(domains, d.requestCheck)),
		form(domainPath+"/issue", domainPath, allowed(domains, d.requestIssue)),
		form(domainPath+"/renew", domainPath, allowed(domains, d.requestRenew)),
		form("/jobs/{job}/retry", "/jobs", allowed(jobs, d.retryJob)),
		always(certificatePath+"/key", certificatePath+"/key", allowed(key, d.downloadKey)),
		always(certificatePath+"/pkcs12", certificatePath+"/key", allowed(key, d.downloadPKCS12)),
		form(certificatePath+"/revoke", certificatePath+"/revoke",
			allowed(revoke, d.revokeCertificate)),

		form(organizationPath, organizationPath, allowed(org, d.renameOrganization)),
		form(deleteOrganizationPath, organizationPath, allowed(org, d.deleteOrganization)),
		form(organizationPath+"/leave", organizationPath, signedIn(d.leaveOrganization)),
		form(membersPath, membersPath, allowed(members, d.createInvitation)),
		form(memberPath+"/role", memberPath, allowed(members, d.changeRole)),
		form(memberPath+"/transfer", memberPath, allowed(members, d.transferOwnership)),
		form(memberPath+"/remove", memberPath, allowed(members, d.removeMember)),
		form("/settings/invitations/{invitation}/revoke", membersPath,
			allowed(members, d.revokeInvitation)),

		form(tokensURL, tokensURL+"/new", allowed(tokens, d.createToken)),
		form(tokensURL+"/revoke-all", tokensURL, allowed(tokens, d.revokeTokens)),
		form(tokenPath+"/rename", tokenPath, allowed(tokens, d.renameToken)),
		form(tokenPath+"/rotate", tokenPath, allowed(tokens, d.rotateToken)),
		form(tokenPath+"/revoke-previous", tokenPath,
			allowed(tokens, d.revokePreviousTokenSecrets)),
		form(tokenPath+"/revoke", tokenPath, allowed(tokens, d.revokeToken)),
		form(sessionsPath+"/end-others", sessionsPath, signedIn(d.endOtherSessions)),
		form(sessionsPath+"/{session}/end", sessionsPath, signedIn(d.endSession)),

		form(domainDNSPath, domainDNSPath, allowed(domains, d.createRecords)),
		form(domainDNSPath+"/leave", domainPath, allowed(domains, d.leaveConnection)),
		form(connectionsPath, connectionsPath, allowed(connections, d.addConnection)),
		form(connectionPath, connectionPath, allowed(connections, d.renameConnection)),
		form(connectionPath+"/test", connectionPath, allowed(connections, d.testConnection)),
		form(connectionPath+"/credentials", connectionPath,
			allowed(connections, d.replaceCredentials)),
		form(connectionPath+"/delete", connectionPath, allowed(connections, d.deleteConnection)),

		form(acmeClientsPath, acmeClientsPath, allowed(acme, d.addAccount)),
		form(accountPath, accountPath, allowed(acme, d.changeAccount)),
		form(accountPath+"/attach", accountPath, allowed(acme, d.attachAccount)),
		form(accountPath+"/detach", accountPath, allowed(acme, d.detachAccount)),
		form(accountPath+"/rotate", accountPath, allowed(acme, d.rotateAccount)),
		form(accountPath+"/delete", accountPath, allowed(acme, d.deleteAccount)),
		form(registrationKeysPath, acmeClientsPath, allowed(acme, d.createRegistrationKey)),
		form(registrationKeyPath+"/revoke", acmeClientsPath,
			allowed(acme, d.revokeRegistrationKey)),

		form("/webhooks", "/webhooks", allowed(hooks, d.addWebhook)),
		form(webhookPath, webhookPath, allowed(hooks, d.changeWebhook)),
		form(webhookPath+"/rotate", webhookPath, allowed(hooks, d.rotateWebhook)),
		form(webhookPath+"/revoke-previous", webhookPath,
			allowed(hooks, d.revokePreviousWebhookSecrets)),
		form(webhookPath+"/delete", webhookPath, allowed(hooks, d.deleteWebhook)),
		form(webhookPath+"/test", webhookPath, allowed(hooks, d.testWebhook)),
		form(webhookPath+"/redeliver", webhookPath, allowed(hooks, d.redeliverRange)),
		form(deliveryPath+"/redeliver", deliveryPath, allowed(hooks, d.redeliver)),
	}
}
