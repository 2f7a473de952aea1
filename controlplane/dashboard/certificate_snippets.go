package dashboard

import (
	"fmt"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

// snippet is the configuration of a web server for a certificate.
type snippet struct {
	ID    string
	Title string
	Note  string
	Code  []recordCode
}

// snippets returns configurations that use the file names of the downloads. Names have only
// letters, digits, hyphens, and dots, except for the asterisk of a wildcard, which file names do
// not contain: nothing needs to be quoted.
func snippets(c *controlplane.Certificate) []snippet {
	stem := edge.FileName(c, "")
	chain, key := stem+"-fullchain.pem", stem+"-key.pem"
	if !c.HasKey() {
		key = "your.key"
	}
	return []snippet{
		{ID: "nginx", Title: "nginx",
			Note: "Copy the full chain and the key to /etc/nginx/certs, then reload: nginx -t && nginx -s reload", Code: []recordCode{
				{ID: "nginx-server", Title: "Server block", Text: fmt.Sprintf(`server {
    listen 443 ssl;
    listen [::]:443 ssl;
    server_name %s;

    ssl_certificate     /etc/nginx/certs/%s;
    ssl_certificate_key /etc/nginx/certs/%s;
}`, strings.Join(c.Names, " "), chain, key)},
			}},
		{ID: "caddy", Title: "Caddy",
			Note: "Copy the full chain and the key to /etc/caddy/certs, then: caddy reload --config /etc/caddy/Caddyfile", Code: []recordCode{
				{ID: "caddy-site", Title: "Caddyfile", Text: fmt.Sprintf(`%s {
    tls /etc/caddy/certs/%s /etc/caddy/certs/%s
}`, strings.Join(c.Names, ", "), chain, key)},
			}},
		{ID: "haproxy", Title: "HAProxy",
			Note: "HAProxy reads the chain and the key from one file.", Code: []recordCode{
				{ID: "haproxy-file", Title: "Combined file",
					Text: fmt.Sprintf("cat %s %s > /etc/haproxy/certs/%s.pem", chain, key, stem)},
				{ID: "haproxy-frontend", Title: "Frontend", Text: fmt.Sprintf(`frontend https
    bind :443 ssl crt /etc/haproxy/certs/%s.pem alpn h2,http/1.1`, stem)},
			}},
	}
}
