package controlplane

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// Certified is which of a name and its wildcard a certificate has.
type Certified struct {
	Plain    bool `json:"plain"`
	Wildcard bool `json:"wildcard"`
}

// Covers reports whether c includes other.
func (c Certified) Covers(other Certified) bool {
	return (c.Plain || !other.Plain) && (c.Wildcard || !other.Wildcard)
}

// Readiness is a check of a delegation that found nothing at all, not even a warning: each CA may
// issue from each of our accounts. It serves all domains that use the delegation.
type Readiness struct {
	By  string `json:"by"` // ID of the domain or delegation that was checked
	CAs string `json:"cas"`
	Certified
}

// SharedCheck is the last check of a delegation, if it was ready, for other domains that use it.
type SharedCheck struct {
	Readiness
	Diagnosis Diagnosis `json:"diagnosis"`
}

// Serves reports whether the check found out what n needs.
func (r Readiness) Serves(n NameCheck, cas string) bool {
	return r.CAs == cas && r.Covers(Certified{n.Plain, n.Wildcard})
}

// Readiness returns what a check for these CAs, on behalf of the domain or delegation by, shows to
// others. It is nil if the check found anything.
func (e Examination) Readiness(by, cas string) *Readiness {
	if e.Clear == (Certified{}) || cas == "" || !e.Delegation.OK() {
		return nil
	}
	return &Readiness{By: by, CAs: cas, Certified: e.Clear}
}

// FingerprintCAs identifies a list of CAs with their accounts.
func FingerprintCAs(cas []CAIdentity) string {
	text, err := json.Marshal(cas)
	if err != nil || len(cas) == 0 {
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// Examination returns the result of the check for these CAs.
func (s SharedCheck) Examination(cas []CAIdentity) Examination {
	e := Examination{Delegation: s.Diagnosis, Clear: s.Certified, CAA: []CAAFinding{},
		Causes: []Diagnosis{}, Warnings: []Diagnosis{}}
	for _, ca := range cas {
		e.CAA = append(e.CAA, CAAFinding{CA: ca.Name, Allowed: true, Code: CauseOK,
			Identities: ca.Identities, Records: []string{}})
	}
	return e
}
