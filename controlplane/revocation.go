package controlplane

import (
	"fmt"
	"sort"
	"strings"
)

// revocationReasons are the reasons that a subscriber can give, with their codes (RFC 5280 §5.3.1,
// and the CA/Browser Forum's baseline requirements §7.2.2).
var revocationReasons = map[string]int{
	"unspecified":          0,
	"keyCompromise":        1,
	"affiliationChanged":   3,
	"superseded":           4,
	"cessationOfOperation": 5,
}

// RevocationCode returns the code of a reason. Its error lists the valid reasons.
func RevocationCode(pointer, reason string) (int, error) {
	if code, ok := revocationReasons[reason]; ok {
		return code, nil
	}
	return 0, Invalid(pointer, "revocation-reason-unknown", quote(reason)+
		" is not a revocation reason.",
		fmt.Sprintf("Send one of %s.", strings.Join(RevocationReasons(), ", ")))
}

// RevocationReasons returns the reasons that a subscriber can give, in the order of their codes.
func RevocationReasons() []string {
	names := make([]string, 0, len(revocationReasons))
	for name := range revocationReasons {
		names = append(names, name)
	}
	sort.Slice(names,
		func(i, j int) bool { return revocationReasons[names[i]] < revocationReasons[names[j]] })
	return names
}
