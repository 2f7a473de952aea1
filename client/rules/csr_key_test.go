package rules_test

import (
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// TestWeaknessOf has moduli that anyone can factor.
func TestWeaknessOf(t *testing.T) {
	t.Parallel()
	p := prime(t, 1024)
	next := new(big.Int).Add(p, big.NewInt(2))
	for !next.ProbablyPrime(5) {
		next.Add(next, big.NewInt(2))
	}
	roca := new(big.Int).Mul(rocaPrime(t), rocaPrime(t))
	for name, tt := range map[string]struct {
		n    *big.Int
		want string
	}{
		"sound":         {new(big.Int).Mul(p, prime(t, 1024)), ""},
		"close primes":  {new(big.Int).Mul(p, next), "its two primes are too close together"},
		"square":        {new(big.Int).Mul(p, p), "its two primes are too close together"},
		"ROCA":          {roca, "Infineon"},
		"factor 751":    {new(big.Int).Mul(p, big.NewInt(751)), "its modulus has a small factor"},
		"even":          {new(big.Int).Lsh(p, 1), "its modulus has a small factor"},
		"factor of 757": {new(big.Int).Mul(p, big.NewInt(757)), ""},
	} {
		if got := rules.WeaknessOf(tt.n); !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
			t.Errorf("%s: weaknessOf = %q, want %q", name, got, tt.want)
		}
	}
}

func TestParseCSR_weakKey(t *testing.T) {
	t.Parallel()
	_, err := rules.ParseCSR(csrPEM(t, nil, keyOf(t, 65537, rocaPrime(t), rocaPrime(t))))
	if !hasCode(err, "csr-key") || !strings.Contains(err.Error(), "weak RSA key") {
		t.Errorf("ParseCSR of a ROCA key = %v, want the code csr-key", err)
	}
}

// weakKey returns an RSA key of fewer bits than crypto/rsa generates.
func weakKey(t *testing.T, bits int) *rsa.PrivateKey {
	t.Helper()
	for {
		p, q := prime(t, bits/2), prime(t, bits/2)
		if new(big.Int).Mul(p, q).BitLen() == bits {
			return keyOf(t, 65537, p, q)
		}
	}
}

func exponent3Key(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	for {
		p, q := prime(t, 1024), prime(t, 1024)
		if fits(p, 3) && fits(q, 3) {
			return keyOf(t, 3, p, q)
		}
	}
}

func keyOf(t *testing.T, e int64, primes ...*big.Int) *rsa.PrivateKey {
	t.Helper()
	n, phi := big.NewInt(1), big.NewInt(1)
	for _, p := range primes {
		n.Mul(n, p)
		phi.Mul(phi, new(big.Int).Sub(p, big.NewInt(1)))
	}
	key := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: n, E: int(e)},
		D: new(big.Int).ModInverse(big.NewInt(e), phi), Primes: primes}
	if key.D == nil {
		t.Fatal("the exponent has no inverse")
	}
	return key
}

func prime(t *testing.T, bits int) *big.Int {
	t.Helper()
	for {
		p, err := rand.Prime(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		if usable(p) {
			return p
		}
	}
}

func usable(p *big.Int) bool { return fits(p, 65537) }

// fits reports whether p-1 has no factor in common with the prime e.
func fits(p *big.Int, e int64) bool {
	return new(big.Int).Mod(p, big.NewInt(e)).Int64() != 1
}

// rocaPrime returns a prime as the vulnerable chips generate them: k*M + 65537^a mod M, with M the
// product of the first 71 primes (Nemec et al.).
func rocaPrime(t *testing.T) *big.Int {
	t.Helper()
	m := big.NewInt(1)
	for n, p := 0, int64(2); n < 71; p++ {
		if v := big.NewInt(p); v.ProbablyPrime(0) {
			m.Mul(m, v)
			n++
		}
	}
	top := new(big.Int).Lsh(big.NewInt(1), 1024)
	low := new(big.Int).Sub(top, new(big.Int).Lsh(big.NewInt(1), 1022))
	for {
		a, err := rand.Int(rand.Reader, m)
		if err != nil {
			t.Fatal(err)
		}
		k, err := rand.Int(rand.Reader, new(big.Int).Div(new(big.Int).Sub(top, low), m))
		if err != nil {
			t.Fatal(err)
		}
		p := new(big.Int).Exp(big.NewInt(65537), a, m)
		p.Add(p, new(big.Int).Mul(m, k.Add(k, new(big.Int).Div(low, m))))
		if p.BitLen() == 1024 && p.ProbablyPrime(10) && usable(p) {
			return p
		}
	}
}

func BenchmarkParseCSR(b *testing.B) {
	key, err := rsa.GenerateKey(rand.Reader, 4096)
	if err != nil {
		b.Fatal(err)
	}
	t := &testing.T{}
	text := csrPEM(t, nil, key)
	for b.Loop() {
		if _, err := rules.ParseCSR(text); err != nil {
			b.Fatal(err)
		}
	}
}
