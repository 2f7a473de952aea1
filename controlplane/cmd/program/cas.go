package program

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/acme"
)

// Directories of the built-in CAs.
const (
	letsEncrypt        = "https://acme-v02.api.letsencrypt.org/directory"
	letsEncryptStaging = "https://acme-staging-v02.api.letsencrypt.org/directory"
	zeroSSL            = "https://acme.zerossl.com/v2/DV90"
)

// caConfig is one CA in DCVAAS_CAS.
type caConfig struct {
	Name      string `json:"name"`
	Directory string `json:"directory"`
	Email     string `json:"email,omitempty"`
	EABKeyID  string `json:"eab_key_id,omitempty"`
	EABHMAC   string `json:"eab_hmac,omitempty"`
	Profile   string `json:"profile,omitempty"`    // requested if a domain has none
	RootsFile string `json:"roots_file,omitempty"` // PEM, trusted for the directory's TLS

	Limits *caLimits `json:"limits,omitempty"` // default: acme.DefaultLimits of the directory
	// Accounts are those that new orders use. Default: the account "default".
	Accounts []accountConfig `json:"accounts,omitempty"`
}

// accountConfig is one of several accounts at a CA. Values that are omitted default to the CA's.
type accountConfig struct {
	Name      string `json:"name"` // "default" is the account that a CA has without a list
	Email     string `json:"email,omitempty"`
	EABKeyID  string `json:"eab_key_id,omitempty"`
	EABHMAC   string `json:"eab_hmac,omitempty"`
	NewOrders string `json:"new_orders,omitempty"` // limit of the account, as in limits
}

// of returns the configuration of an account at the CA.
func (c accountConfig) of(ca acme.CA) (acme.AccountConfig, error) {
	one := acme.AccountConfig{Name: c.Name, Email: cmp.Or(c.Email, ca.Email),
		EABKeyID: c.EABKeyID, EABHMAC: c.EABHMAC}
	if one.EABKeyID == "" && one.EABHMAC == "" {
		one.EABKeyID, one.EABHMAC = ca.EABKeyID, ca.EABHMAC
	}
	if c.NewOrders == "" {
		return one, nil
	}
	limit, ok := parseLimit(c.NewOrders)
	if !ok {
		return one, fmt.Errorf("account %s: new_orders: %w", c.Name, errLimit(c.NewOrders))
	}
	one.NewOrders = &limit
	return one, nil
}

// list returns the configured CAs in order of preference. The default is Let's Encrypt, then
// ZeroSSL if its EAB key is configured.
func (c ACMEConfig) list() ([]acme.CA, error) {
	if c.CAs != "" {
		return c.parse()
	}
	directory := letsEncrypt
	if c.Staging {
		directory = letsEncryptStaging
	}
	cas := []acme.CA{{Name: "letsencrypt", DirectoryURL: directory, Email: c.Email}}
	if (c.ZeroSSLKeyID == "") != (c.ZeroSSLHMACKey == "") {
		return nil, errors.New(
			"zerossl-eab-kid (DCVAAS_ZEROSSL_EAB_KID) and zerossl-eab-hmac (DCVAAS_ZEROSSL_EAB_HMAC) must be set together")
	}
	if c.ZeroSSLKeyID != "" {
		cas = append(cas, acme.CA{Name: "zerossl", DirectoryURL: zeroSSL, Email: c.Email,
			EABKeyID: c.ZeroSSLKeyID, EABHMAC: c.ZeroSSLHMACKey})
	}
	return cas, nil
}

func (c ACMEConfig) parse() ([]acme.CA, error) {
	var list []caConfig
	dec := json.NewDecoder(bytes.NewReader([]byte(c.CAs)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&list); err != nil || len(list) == 0 {
		return nil, errors.New(
			"cas (DCVAAS_CAS): must be a JSON list of CAs, each with name and directory")
	}
	cas := make([]acme.CA, len(list))
	for i, ca := range list {
		cas[i] = acme.CA{Name: ca.Name, DirectoryURL: ca.Directory, Email: ca.Email,
			EABKeyID: ca.EABKeyID, EABHMAC: ca.EABHMAC, Profile: ca.Profile}
		if cas[i].Email == "" {
			cas[i].Email = c.Email
		}
		var err error
		if cas[i].Limits, err = ca.Limits.of(ca.Directory); err != nil {
			return nil, fmt.Errorf("cas (DCVAAS_CAS): %s: %w", ca.Name, err)
		}
		for _, account := range ca.Accounts {
			one, err := account.of(cas[i])
			if err != nil {
				return nil, fmt.Errorf("cas (DCVAAS_CAS): %s: %w", ca.Name, err)
			}
			cas[i].Accounts = append(cas[i].Accounts, one)
		}
		if ca.RootsFile == "" {
			continue
		}
		pem, err := os.ReadFile(ca.RootsFile)
		if err != nil {
			return nil, fmt.Errorf("cas (DCVAAS_CAS): roots_file of %s: %w", ca.Name, err)
		}
		if cas[i].RootCAs = x509.NewCertPool(); !cas[i].RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("cas (DCVAAS_CAS): roots_file of %s contains no certificates",
				ca.Name)
		}
	}
	return cas, nil
}

// accountTitle returns how an account is listed: by the CA's name if it is the only one there.
func accountTitle(ca acme.CA, account string) string {
	if len(ca.AccountNames()) == 1 && account == controlplane.DefaultAccount {
		return ca.Name
	}
	return controlplane.AccountRef(ca.Name, account)
}
