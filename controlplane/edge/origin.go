package edge

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// Origins returns the check that rejects state-changing requests from pages of other sites, and the
// host of publicURL. Requests from publicURL also pass where a proxy changed the Host header.
// publicURL may be empty. Origins returns an error if publicURL is not an absolute URL.
func Origins(publicURL string) (check *http.CrossOriginProtection, host string, err error) {
	check = http.NewCrossOriginProtection()
	if publicURL == "" {
		return check, "", nil
	}
	u, err := url.Parse(publicURL)
	if err != nil || u.Host == "" {
		return nil, "", errors.New("invalid PublicURL: must be an absolute URL")
	}
	if err := check.AddTrustedOrigin(u.Scheme + "://" + u.Host); err != nil {
		return nil, "", fmt.Errorf("invalid PublicURL: %w", err)
	}
	return check, u.Host, nil
}
