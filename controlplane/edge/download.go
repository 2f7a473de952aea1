package edge

import (
	"encoding/pem"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// FileName returns the name of a certificate's file: its first name that is not a wildcard, or its
// ID, and a suffix. DNS names need no quoting in headers (RFC 6266 §4.3).
func FileName(c *controlplane.Certificate, suffix string) string {
	for _, name := range c.Names {
		if !strings.HasPrefix(name, "*.") {
			return name + suffix
		}
	}
	return c.ID + suffix
}

// Attachment returns the Content-Disposition of a file to download. name needs no quoting.
func Attachment(name string) string { return `attachment; filename="` + name + `"` }

// SplitChain returns the first certificate of a PEM chain, and the others. It drops text between
// the blocks.
func SplitChain(chainPEM string) (leaf, chain string) {
	var others strings.Builder
	for rest := []byte(chainPEM); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return leaf, others.String()
		}
		text := string(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes}))
		if leaf == "" {
			leaf = text
			continue
		}
		others.WriteString(text)
	}
}

// PlainCell returns text for a cell of a CSV file. It prefixes text that a spreadsheet would treat
// as a formula.
func PlainCell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}
