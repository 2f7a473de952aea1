// Package acmedns serves the HTTP API of acme-dns (https://github.com/joohoi/acme-dns), which many
// ACME clients already speak: registration of accounts, updates of their TXT values, and a health
// check, with acme-dns's paths, statuses, and bodies, and its order of checks. cmd routes requests
// to it. It changes data only through lifecycle, and never logs the registration key in a path.
//
// It differs from acme-dns where the service has many tenants: a registration key in the base URL
// names the organization, requests are limited, the client's address comes only from a configured
// proxy, and an update succeeds only when every name server serves its value. It adds /delete.
package acmedns
