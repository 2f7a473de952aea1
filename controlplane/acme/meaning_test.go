package acme

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// steps are the columns of meanings.
var steps = []step{atDirectory, atNonce, atAccount, atNewOrder, atOrder, atAuthorization,
	atChallenge,
	inChallenge, atFinalize, inOrder, atCertificate, atRevocation, atRenewalInfo, atKeyChange}

// meanings states what each problem type means at each step, one letter per step.
const meanings = `
                         dir non acc new ord auz chl che fin oer crt rev ari key
rateLimited              L   L   L   L   L   L   L   L   L   L   L   L   L   L
serverInternal           U   U   U   U   U   U   U   U   U   U   U   U   U   U
badNonce                 U   U   U   U   U   U   U   U   U   U   U   U   U   U
caa                      U   U   A   C   C   C   C   C   C   C   C   C   C   A
dns                      U   U   P   N   P   P   P   D   N   N   P   P   P   P
connection               U   U   P   P   P   P   P   T   P   P   P   P   P   P
tls                      U   U   P   P   P   P   P   T   P   P   P   P   P   P
incorrectResponse        U   U   P   P   P   P   P   V   P   P   P   P   P   P
unauthorized             U   U   A   A   A   A   A   V   A   A   A   A   A   A
malformed                U   U   A   P   P   P   P   P   P   P   P   P   P   A
compound                 U   U   A   P   P   P   P   P   P   P   P   P   P   A
badCSR                   U   U   A   R   R   R   R   R   R   R   R   R   R   A
badPublicKey             U   U   A   A   A   A   A   A   K   K   A   K   A   A
badSignatureAlgorithm    U   U   A   A   A   A   A   A   K   K   A   A   A   A
rejectedIdentifier       U   U   A   I   I   I   I   I   I   I   I   I   I   A
unsupportedIdentifier    U   U   A   I   I   I   I   I   I   I   I   I   I   A
invalidProfile           U   U   A   F   F   F   F   F   F   F   F   F   F   A
accountDoesNotExist      U   U   A   A   A   A   A   A   A   A   A   A   A   A
externalAccountRequired  U   U   A   A   A   A   A   A   A   A   A   A   A   A
invalidContact           U   U   A   A   A   A   A   A   A   A   A   A   A   A
unsupportedContact       U   U   A   A   A   A   A   A   A   A   A   A   A   A
userActionRequired       U   U   A   A   A   A   A   A   A   A   A   A   A   A
alreadyRevoked           U   U   1   1   1   1   1   1   1   1   1   1   1   1
badRevocationReason      U   U   P   P   P   P   P   P   P   P   P   2   P   P
alreadyReplaced          U   U   3   3   3   3   3   3   3   3   3   3   3   3
orderNotReady            U   U   4   4   4   4   4   4   4   4   4   4   4   4
status:400               U   U   A   P   P   P   P   P   P   P   P   P   P   A
status:401               U   U   A   P   P   P   P   P   P   P   P   P   P   A
status:403               U   U   A   P   P   P   P   P   P   P   P   P   P   A
status:404               U   U   P   P   P   P   P   P   P   P   P   P   P   P
status:408               U   U   U   U   U   U   U   U   U   U   U   U   U   U
status:409               U   U   A   P   P   P   P   P   P   P   P   P   P   A
status:422               U   U   P   P   P   P   P   P   P   P   P   P   P   P
status:429               L   L   L   L   L   L   L   L   L   L   L   L   L   L
status:500               U   U   U   U   U   U   U   U   U   U   U   U   U   U
status:503               U   U   U   U   U   U   U   U   U   U   U   U   U   U
`

// letters are the meanings: class, code, and who acts.
var letters = map[string]struct {
	class Class
	code  string
	party controlplane.Party
}{
	"L": {RateLimited, "ca-rate-limited", controlplane.PartyCA},
	"U": {Unreachable, "ca-unreachable", controlplane.PartyCA},
	"C": {CAAForbids, "ca-caa", controlplane.PartyCustomer},
	"D": {FailedDNS, "ca-dns", controlplane.PartyCustomer},
	"N": {FailedDNS, "ca-dns-lookup", controlplane.PartyCustomer},
	"T": {FailedDNS, "ca-connection", controlplane.PartyCustomer},
	"V": {FailedDNS, "ca-unauthorized", controlplane.PartyCustomer},
	"A": {BadAccount, "ca-account", controlplane.PartyOperator},
	"P": {Policy, "ca-malformed", controlplane.PartyOperator},
	"R": {BadRequest, "ca-bad-csr", controlplane.PartyCustomer},
	"K": {BadRequest, "ca-bad-key", controlplane.PartyCustomer},
	"I": {Policy, "ca-rejected-identifier", controlplane.PartyCustomer},
	"F": {Policy, "ca-profile", controlplane.PartyCustomer},
	"1": {BadRequest, "ca-already-revoked", controlplane.PartyService},
	"2": {BadRequest, "ca-bad-revocation-reason", controlplane.PartyCustomer},
	"3": {Policy, "ca-already-replaced", controlplane.PartyService},
	"4": {Policy, "ca-order-not-ready", controlplane.PartyCA},
}

// TestProblemsAtSteps states the class, the code, the party, and the text of every problem type at
// every step.
func TestProblemsAtSteps(t *testing.T) {
	t.Parallel()
	ca := CA{Name: "Some CA", DirectoryURL: "https://acme.ca.test/directory"}
	known := map[string]bool{}
	for line := range strings.Lines(strings.TrimSpace(meanings)) {
		columns := strings.Fields(line)
		if columns[0] == "dir" {
			continue
		}
		if len(columns) != len(steps)+1 {
			t.Fatalf("%d columns in %q, want %d", len(columns)-1, line, len(steps))
		}
		kind, status := columns[0], 400
		if _, err := fmt.Sscanf(kind, "status:%d", &status); err == nil {
			kind = "https://ca.test/errors/new"
		} else {
			known[kind] = true
			kind = urn + kind
		}
		raw, err := json.Marshal(map[string]any{"type": kind, "status": status,
			"detail": "the CA's words, see https://ca.test/why"})
		if err != nil {
			t.Fatal(err)
		}
		for i, at := range steps {
			e := problemError(ca, at, raw, status)
			checkMeaning(t, fmt.Sprintf("%s at %s", columns[0], at), at, e, columns[i+1])
			if e.passing != (e.Class == RateLimited || e.Class == Unreachable &&
				lookup(at, e.problemType, status).passing) {
				t.Errorf("%s at %s: passing = %v", columns[0], at, e.passing)
			}
		}
	}
	for kind := range problems {
		if !known[kind] {
			t.Errorf("the table of this test lacks the problem type %s", kind)
		}
	}
}

const urn = "urn:ietf:params:acme:error:"

func checkMeaning(t *testing.T, what string, at step, e *Error, letter string) {
	t.Helper()
	want, ok := letters[letter]
	if !ok {
		t.Fatalf("%s: unknown letter %q", what, letter)
	}
	v := e.Verdict()
	if v.Class != want.class || v.Code != want.code {
		t.Errorf("%s: class %s, code %s; want %s, %s", what, v.Class, v.Code, want.class, want.code)
	}
	row, ok := controlplane.CodeOf(v.Code)
	if !ok || row.Actor != want.party {
		t.Errorf("%s: code %s is for %q, want %q", what, v.Code, row.Actor, want.party)
	}
	if v.FailedValidation != (at == inChallenge) {
		t.Errorf("%s: FailedValidation = %v", what, v.FailedValidation)
	}
	if !strings.HasPrefix(v.Message, "Some CA ") ||
		!strings.Contains(v.Message, "the CA's words, see https://ca.test/why") ||
		strings.HasSuffix(v.Message, "..") {
		t.Errorf("%s: Message = %q, want the CA's name, text, and link", what, v.Message)
	}
	if v.Fix == "" {
		t.Errorf("%s: Fix is empty", what)
	}
	words := strings.ToLower(v.Message + v.Fix + row.Title + row.Cause)
	for _, about := range []string{"challenge", "txt record", "cname"} {
		if at != inChallenge && strings.Contains(words, about) {
			t.Errorf("%s: the text mentions %q, which only a failed challenge concerns: %s", what,
				about, words)
		}
	}
	if refused := v.Class.Refusal() || v.Class == CAAForbids; v.Over != (refused && !at.isRead()) {
		t.Errorf("%s: Over = %v", what, v.Over)
	}
}

// TestTextOfProblems checks what users read: the decisive problem's text, its link, and who acts.
func TestTextOfProblems(t *testing.T) {
	t.Parallel()
	ca := CA{Name: "Some CA", DirectoryURL: "https://acme.ca.test/directory"}
	tests := map[string]struct {
		at            step
		document      string
		message, code string
		fix           string
	}{
		"type with a page": {atNewOrder, `{"type":"https://ca.test/errors/credit","title":"No credit."}`,
			"Some CA rejected the request: No credit (https://ca.test/errors/credit).", "ca-malformed",
			""},
		"type only": {atNewOrder, `{"type":"urn:x:y","status":400}`,
			"Some CA rejected the request: urn:x:y.", "ca-malformed", ""},
		"terms of service": {atNewOrder, `{"type":"` + urn +
			`userActionRequired","detail":"New terms.","instance":"https://ca.test/terms"}`,
			"Some CA rejected the ACME account: New terms.", "ca-account",
			"Ask the operator to visit https://ca.test/terms."},
		"instance without a page": {atNewOrder, `{"type":"` + urn +
			`userActionRequired","detail":"New terms.","instance":"javascript:alert(1)"}`,
			"Some CA rejected the ACME account: New terms.", "ca-account",
			controlplane.FixOf("ca-account")},
		"profile of another account": {atNewOrder, `{"type":"` + urn +
			`unauthorized","detail":"account ID 7 is not permitted to use certificate profile \"x\""}`,
			`Some CA does not offer the profile: account ID 7 is not permitted to use certificate profile "x".`,
			"ca-profile", controlplane.FixOf("ca-profile")},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := problemError(ca, tt.at, json.RawMessage(tt.document), 400)
			if e == nil || e.Message != tt.message || e.Code != tt.code || tt.fix != "" &&
				e.Fix != tt.fix {
				t.Errorf("problemError() = %+v, want %q, %s, %q", e, tt.message, tt.code, tt.fix)
			}
		})
	}
}

// TestPause recognizes a paused name, and shows only a link that leads to the CA.
func TestPause(t *testing.T) {
	t.Parallel()
	ca := CA{Name: "letsencrypt", DirectoryURL: "https://acme-v02.api.letsencrypt.org/directory"}
	const words = "Your account is temporarily prevented from requesting certificates for a.example.com, b.example.com and possibly others"
	long := strings.Repeat("j", 5000)
	tests := map[string]struct {
		detail string
		paused bool
		link   string
	}{
		"portal": {words + ". Please visit: https://portal.letsencrypt.org/sfe/v1/unpause?jwt=a.b.c",
			true, "https://portal.letsencrypt.org/sfe/v1/unpause?jwt=a.b.c"},
		"other words": {"Paused. See https://letsencrypt.org/unpause?x=1", true,
			"https://letsencrypt.org/unpause?x=1"},
		"no link":        {words + ".", true, ""},
		"other domain":   {words + ". Please visit: https://letsencrypt.org.evil.test/unpause", true, ""},
		"not https":      {words + ". Please visit: http://portal.letsencrypt.org/unpause", true, ""},
		"user in link":   {words + ". Please visit: https://letsencrypt.org@evil.test/unpause", true, ""},
		"own user":       {words + ". Please visit: https://x@letsencrypt.org/unpause", true, ""},
		"too long":       {words + ". Please visit: https://portal.letsencrypt.org/unpause?jwt=" + long, true, ""},
		"a rate limit":   {"too many certificates: see https://letsencrypt.org/docs/rate-limits/", false, ""},
		"without a word": {"", false, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw, _ := json.Marshal(map[string]any{"type": urn + "rateLimited", "detail": tt.detail})
			e := problemError(ca, atNewOrder, raw, 429)
			if (e.Class == Paused) != tt.paused || tt.paused != (e.Code == "ca-paused") ||
				e.Over != tt.paused {
				t.Errorf("class %s, code %s, Over %v; want paused = %v", e.Class, e.Code, e.Over,
					tt.paused)
			}
			if tt.link != "" && (!strings.Contains(e.Fix, tt.link+" ") ||
				strings.Contains(e.Message, "http")) {
				t.Errorf("Message = %q, Fix = %q; want the link in the fix", e.Message, e.Fix)
			}
			if tt.link == "" && strings.Contains(e.Fix, "http") {
				t.Errorf("Fix = %q, want no link", e.Fix)
			}
			if len(e.Message) > 1100 {
				t.Errorf("Message has %d bytes", len(e.Message))
			}
		})
	}
}

// TestOwnLinks states which links lead to a CA at an address or at a local name.
func TestOwnLinks(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		directory, link string
		want            bool
	}{
		{"https://127.0.0.1:14000/dir", "https://127.0.0.1:15000/unpause", true},
		{"https://127.0.0.1/dir", "https://10.0.0.1/unpause", false},
		{"https://ca.internal/dir", "https://ca.internal/unpause", true},
		{"https://ca.internal/dir", "https://portal.ca.internal/unpause", true},
		{"https://acme.zerossl.com/v2/DV90", "https://app.zerossl.com/x", true},
		{"https://acme.zerossl.com/v2/DV90", "https://zerossl.co/x", false},
		{"https://a.github.io/dir", "https://b.github.io/unpause", false},
		{"https://[::1]/dir", "https://[::2]/unpause", false},
		{"https://ca.test/dir", "//ca.test/unpause", false},
	} {
		if got := (CA{DirectoryURL: tt.directory}).owns(tt.link); got != tt.want {
			t.Errorf("owns(%s) of %s = %v, want %v", tt.link, tt.directory, got, tt.want)
		}
	}
}
