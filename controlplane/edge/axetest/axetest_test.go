package axetest

import (
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"testing"
)

// The stored script is the one that the README names.
func TestScriptIsThePublishedOne(t *testing.T) {
	script, err := Script()
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if sum := fmt.Sprintf("%x", sha256.Sum256([]byte(script))); !strings.Contains(string(readme),
		sum) {
		t.Errorf("SHA-256 of Script() = %s, want the one in README.md", sum)
	}
}
