package provider

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

// schemaTypes returns the types of a schema's attributes.
type schemaTypes interface {
	TypeAtPath(context.Context, path.Path) (attr.Type, diag.Diagnostics)
}

// aboutErrors are the codes whose fix refers to the list errors of the problem document. Users do
// not see that list: each of its fields has its own diagnostic.
var aboutErrors = []string{
	"invalid-fields", "malformed-request", "invalid-parameter", "wrong-type", "not-one-of",
	"out-of-range", "invalid-format",
	"ca-unknown",
}

// problem describes the operation that returned an error of the API.
type problem struct {
	doing  string               // "create the domain example.com"
	kind   string               // type of the resource, for the import hint of a conflict; optional
	schema schemaTypes          // schema that the pointers of invalid fields refer to; optional
	rename map[string]string    // attributes with another name in the API: API name to attribute
	sets   map[string]types.Set // sets that were sent as lists, by attribute; optional
	// ID of the object that a planned creation replaces, which was not changed; optional
	replaces string
	// attribute for errors without a usable pointer; empty: the whole resource
	at path.Path
}

// add adds diagnostics for an error of the client: one for each invalid field, at its attribute,
// and one for the fields that the API counts but does not list; or one for the whole error. Each
// detail ends with the request ID.
func (p problem) add(ctx context.Context, diags *diag.Diagnostics, err error) {
	if err == nil {
		return
	}
	summary := "Cannot " + p.doing
	var e *client.Error
	var other *client.OrganizationError
	switch {
	case errors.As(err, &e):
	case errors.As(err, &other):
		p.put(diags, p.at, summary, sentence(err.Error())+
			"\n\nNothing was changed. Use a token of "+other.Want+
			", or set organization_id to the organization to act on.")
		return
	case errors.Is(err, context.Canceled):
		diags.AddError(summary, "The operation was interrupted.")
		return
	default:
		p.put(diags, p.at, summary, sentence(err.Error()))
		return
	}

	if len(e.Fields) == 0 {
		text := sentence(e.Message())
		if _, ok := errors.AsType[unrecorded](err); ok {
			text += "\n\n" + unrecordedFix
		}
		p.put(diags, p.at, summary, p.detail(e, text))
		return
	}
	for _, f := range e.Fields {
		at := p.attribute(ctx, f.Pointer)
		text := f.Detail
		if len(at.Steps()) == 0 {
			at = p.at
			if f.Pointer != "" && len(at.Steps()) == 0 {
				text = f.Pointer + ": " + text
			}
		}
		p.put(diags, at, summary, p.detail(e, text))
	}
	if more := e.FieldsTotal - len(e.Fields); more > 0 {
		p.put(diags, p.at, summary, p.detail(e, fmt.Sprintf("%d more fields are invalid", more)))
	}
}

func (p problem) put(diags *diag.Diagnostics, at path.Path, summary, detail string) {
	if len(at.Steps()) == 0 {
		diags.AddError(summary, detail)
		return
	}
	diags.AddAttributeError(at, summary, detail)
}

// detail joins the text, the fix, and the request ID.
func (p problem) detail(e *client.Error, text string) string {
	parts := []string{sentence(text)}
	imports := e.Status == 409 && e.ExistingID != "" && p.kind != ""
	if e.Fix != "" && !imports && !strings.Contains(text, e.Fix) &&
		!slices.Contains(aboutErrors, e.Code) {
		parts = append(parts, sentence(e.Fix))
	}
	switch {
	case !e.API:
		parts = append(parts, "The response says nothing about the object, so Terraform's state is unchanged. Check the provider's endpoint ("+
			fromEndpoint+"), and the gateway or proxy in front of it.")
	case e.Status == http.StatusUnauthorized:
		parts = append(parts, "The API rejected the provider's token"+fromToken(e)+
			": it is mistyped, expired, or revoked.")
	case e.Code == "no-such-path":
		parts = append(parts, "The provider's endpoint ("+fromEndpoint+
			") must be the base URL without /api, and the service must not be older than the provider.")
	case client.IsNotFound(e):
		parts = append(parts, "The provider acts for the organization "+e.OrganizationID+
			", to which its token"+fromToken(e)+" belongs.")
	case imports:
		parts = append(parts, p.conflict(e.ExistingID))
	case e.Status == 429 && !e.RetryAt.IsZero():
		parts = append(parts, "Retry at "+e.RetryAt.UTC().Format(time.RFC3339)+".")
	}
	if p.replaces != "" {
		parts = append(parts, "This is the result of a dry run: the object to replace, "+p.replaces+
			", was not changed.")
	}
	status := fmt.Sprintf("Status: %d", e.Status)
	if e.Code != "" {
		status += " " + e.Code
	}
	if e.RequestID != "" {
		status += "\nRequest ID: " + e.RequestID
	}
	return strings.Join(append(parts, status), "\n\n")
}

// conflict returns how to continue if an object exists already.
func (p problem) conflict(id string) string {
	if p.replaces != "" {
		return "A replacement cannot take over the existing object " + id +
			". Delete that object first, or use another value. If another resource manages it and changes too, apply that change first. " +
			"To manage it with this resource instead, remove the resource from the state (terraform state rm ADDRESS), and import " +
			id + "."
	}
	return fmt.Sprintf("To manage the existing object, import it by its ID %s:\n\n  import {\n    to = %s.NAME\n    id = %q\n  }\n\n"+
		"If this resource manages it already, and replaces it because of create_before_destroy, do not import it. "+
		"Remove create_before_destroy: the existing object must be deleted before the new one is created.", id, p.kind, id)
}

// fromEndpoint names the sources of the endpoint.
const fromEndpoint = "endpoint or " + envEndpoint

// fromToken returns ", from" and the source of the token, "" if that is unknown.
func fromToken(e *client.Error) string {
	if e.TokenSource == "" {
		return ""
	}
	return ", from " + e.TokenSource + ","
}

// attribute converts a JSON pointer (RFC 6901) to the path of an attribute. The path of an element
// of a set is that of the set, unless the set is in sets: the pointer has an index. It returns the
// empty path if the attribute does not exist.
func (p problem) attribute(ctx context.Context, pointer string) path.Path {
	tokens := strings.Split(pointer, "/")
	if p.schema == nil || len(tokens) < 2 || tokens[0] != "" {
		return path.Empty()
	}
	name := unescape(tokens[1])
	if ours, ok := p.rename[name]; ok {
		name = ours
	}
	at := path.Root(name)
	t, diags := p.schema.TypeAtPath(ctx, at)
	if diags.HasError() {
		return path.Empty()
	}
	for _, token := range tokens[2:] {
		token = unescape(token)
		switch t.(type) {
		case types.MapType:
			at = at.AtMapKey(token)
		case types.ListType:
			i, err := strconv.Atoi(token)
			if err != nil {
				return at
			}
			at = at.AtListIndex(i)
		case types.SetType:
			i, err := strconv.Atoi(token)
			if sent := p.sets[name].Elements(); err == nil && 0 <= i && i < len(sent) {
				return at.AtSetValue(sent[i])
			}
			return at
		case types.ObjectType:
			at = at.AtName(token)
		default:
			return at
		}
		if t, diags = p.schema.TypeAtPath(ctx, at); diags.HasError() {
			return at.ParentPath()
		}
	}
	return at
}

func unescape(token string) string {
	return strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
}

// sentence returns s with a capital at the start, unless that is a name or another identifier, and
// a period at the end.
func sentence(s string) string {
	s = strings.TrimSpace(s)
	if s == "" {
		return s
	}
	if !strings.HasSuffix(s, ".") && !strings.HasSuffix(s, "!") && !strings.HasSuffix(s, "?") {
		s += "."
	}
	first, _, _ := strings.Cut(s, " ")
	if c := s[0]; 'a' <= c && c <= 'z' && !strings.ContainsAny(strings.TrimRight(first, ".:,"),
		"._/:") {
		s = string(c-'a'+'A') + s[1:]
	}
	return s
}
