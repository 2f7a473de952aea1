package api

import (
	"hash/fnv"
	"io"
	"strconv"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// domainETag is the entity tag of a domain: its version, the state of its summary, which changes by
// time alone, and the results of its delegations, which checks of other domains change.
func (a *API) domainETag(d *controlplane.Domain) string {
	tag := strconv.FormatInt(d.Version, 10) + "-" + string(d.Summary(a.now()).State)
	results := fnv.New64a()
	for _, name := range d.Bases() {
		result := d.Delegations[name]
		if result.State == "" || result.State == controlplane.DelegationUnchecked {
			continue
		}
		_, _ = io.WriteString(results, name+" "+string(result.State))
		if c := result.Cause(); c != nil {
			_, _ = io.WriteString(results, c.Code+c.Observed+c.Expected+c.Fix)
		}
	}
	return `"` + tag + "-" + strconv.FormatUint(results.Sum64(), 36) + `"`
}

// jobETag is the entity tag of a job: its generation and last change.
func jobETag(j *controlplane.Job) string {
	return `"` + strconv.FormatInt(int64(j.Generation), 36) + "-" +
		strconv.FormatInt(j.UpdatedAt.UnixMicro(), 36) + `"`
}

// noneMatch reports whether If-None-Match names etag, by weak comparison (RFC 9110 §13.1.2).
func noneMatch(header *IfNoneMatch, etag string) bool {
	if header == nil {
		return false
	}
	star, tags := entityTags(*header)
	if star {
		return true
	}
	for _, tag := range tags {
		if strings.TrimPrefix(tag, "W/") == etag {
			return true
		}
	}
	return false
}

// ifMatch is a precondition on a domain's version, by strong comparison (RFC 9110 §13.1.1).
type ifMatch struct {
	any      bool
	versions []int64 // empty: nothing matches
}

func readIfMatch(header *IfMatch) ifMatch {
	if header == nil {
		return ifMatch{any: true}
	}
	star, tags := entityTags(*header)
	m := ifMatch{any: star}
	for _, tag := range tags {
		quoted, ok := strings.CutPrefix(tag, `"`)
		if !ok {
			continue // weak tags never match strongly
		}
		number, _, _ := strings.Cut(strings.TrimSuffix(quoted, `"`), "-")
		version, err := strconv.ParseInt(number, 10, 64)
		if err == nil && version > 0 {
			m.versions = append(m.versions, version)
		}
	}
	return m
}

// entityTags returns the tags of a list, with their quotes and "W/", or whether it is "*". An
// invalid entity tag (RFC 9110 §8.8.3) ends the list, because it matches nothing.
func entityTags(header string) (star bool, tags []string) {
	rest := strings.TrimSpace(header)
	if rest == "*" {
		return true, nil
	}
	for rest != "" {
		start := 0
		if strings.HasPrefix(rest, "W/") {
			start = 2
		}
		if !strings.HasPrefix(rest[start:], `"`) {
			return false, tags
		}
		end := strings.IndexByte(rest[start+1:], '"')
		if end < 0 {
			return false, tags
		}
		end += start + 2
		tags = append(tags, rest[:end])
		rest = strings.TrimLeft(rest[end:], " \t")
		if rest != "" && rest[0] != ',' {
			return false, tags
		}
		rest = strings.TrimLeft(rest, ", \t")
	}
	return false, tags
}

func errPrecondition() error {
	return &controlplane.Error{Kind: controlplane.KindPrecondition, Code: "precondition-failed",
		Message: "The domain has changed since the ETag in If-Match."}
}
