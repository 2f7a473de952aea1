package devstack

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const (
	listenerLifetime = 10 * 365 * 24 * time.Hour
	// rootMemory is longer than the lifetime of any certificate of a test CA.
	rootMemory = 100 * 24 * time.Hour
)

// listenerCertificate returns the self-signed certificate for 127.0.0.1 and its PEM from dir. If
// dir has no valid one, it creates and stores one. With an empty dir, nothing is stored.
func listenerCertificate(dir, name string) (tls.Certificate, []byte, error) {
	path := filepath.Join(dir, name+"-listener.pem")
	if dir != "" {
		if stored, err := os.ReadFile(path); err == nil {
			cert, err := tls.X509KeyPair(stored, stored)
			if err == nil && time.Until(cert.Leaf.NotAfter) > 24*time.Hour {
				return cert, encodeCertificate(cert.Leaf.Raw), nil
			}
		} else if !errors.Is(err, fs.ErrNotExist) {
			return tls.Certificate{}, nil, err
		}
	}
	certPEM, keyPEM, err := selfSigned(name)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	if dir != "" {
		if err := replaceFile(path, append(append([]byte(nil), certPEM...), keyPEM...),
			0o600); err != nil {
			return tls.Certificate{}, nil, err
		}
	}
	return cert, certPEM, nil
}

func selfSigned(name string) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "HTTPS of the test CA " + name},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(listenerLifetime),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return encodeCertificate(der), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY",
		Bytes: keyDER}), nil
}

// rememberRoots returns roots, followed by the recent ones among those stored in dir, and stores
// the result. With an empty dir, nothing is stored.
func rememberRoots(dir, name string, roots [][]byte) ([]byte, error) {
	all := bytes.Join(roots, nil)
	if dir == "" {
		return all, nil
	}
	path := filepath.Join(dir, name+"-roots.pem")
	stored, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for block, rest := pem.Decode(stored); block != nil; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if time.Since(cert.NotBefore) < rootMemory {
			all = append(all, encodeCertificate(cert.Raw)...)
		}
	}
	return all, replaceFile(path, all, 0o644)
}

func encodeCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// replaceFile replaces a file atomically: after a crash, the file is either the old or the new one.
func replaceFile(path string, data []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Chmod(mode), tmp.Close())
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
