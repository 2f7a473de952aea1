package provider

import "testing"

func TestSameRecord(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"_acme-challenge.example.com", "_ACME-Challenge.Example.COM.", true},
		{"_acme-challenge.bücher.example", "_acme-challenge.xn--bcher-kva.example.", true},
		{"_acme-challenge.example.com", "_acme-challenge.example.com.example.com", false},
		{"_acme-challenge.example.com", "example.com", false},
		{"_acme-challenge", "_acme-challenge.example.com", false},
	} {
		for _, p := range [][2]string{{c.a, c.b}, {c.b, c.a}} {
			if got := sameRecord(p[0], p[1]); got != c.same {
				t.Errorf("sameRecord(%s, %s) = %v, want %v", p[0], p[1], got, c.same)
			}
		}
	}
}
