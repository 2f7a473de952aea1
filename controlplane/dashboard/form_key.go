package dashboard

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"encoding/base64"
	"html"
	"regexp"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// formKeyField is the name of the hidden field with a form's key.
const formKeyField = "form_key"

// formKey identifies one rendered form. A submission is executed once for each key, and only in the
// organization and by the user that the form was rendered for, even if another tab has switched the
// session since then.
type formKey struct {
	OrgID, UserID string
	Random        string
}

// newFormKey returns the key of a new form, for a signed-in user.
func (v *visit) newFormKey() formKey {
	return formKey{OrgID: v.session.OrgID, UserID: v.session.User.ID, Random: rand.Text()}
}

// text returns the key as the value of its field. Its signature also covers the form's action.
func (k formKey) text(key []byte, action string) string {
	body := strings.Join([]string{k.OrgID, k.UserID, k.Random}, ".")
	return body + "." + base64.RawURLEncoding.EncodeToString(
		sign(key, []byte(body+"\n"+action))[:16])
}

// parseFormKey returns the key in a field's value. It reports whether the dashboard rendered the
// key for this action.
func parseFormKey(key []byte, action, value string) (formKey, bool) {
	parts := strings.Split(value, ".")
	if len(parts) != 4 || !controlplane.IsID(controlplane.PrefixOrganization, parts[0]) ||
		!controlplane.IsID(controlplane.PrefixUser, parts[1]) {
		return formKey{}, false
	}
	k := formKey{OrgID: parts[0], UserID: parts[1], Random: parts[2]}
	return k, hmac.Equal([]byte(value), []byte(k.text(key, action)))
}

// postForm matches the start tags of the forms that are submitted with POST. The templates escape
// angle brackets in attributes, so a tag ends at the first one.
var postForm = regexp.MustCompile(`<form [^>]*method="post"[^>]*>`)

var formAction = regexp.MustCompile(` action="([^"]*)"`)

// addFormKeys adds a key to each form of a page, so that no template can forget it. Visitors
// without a session get no keys: what they can submit has its own protection.
func (d *Dashboard) addFormKeys(page []byte, v *visit) []byte {
	if v.session == nil {
		return page
	}
	return postForm.ReplaceAllFunc(page, func(tag []byte) []byte {
		action := v.URL.Path
		if m := formAction.FindSubmatch(tag); m != nil {
			action = html.UnescapeString(string(m[1]))
		}
		var b bytes.Buffer
		b.Write(tag)
		b.WriteString(`<input type="hidden" name="` + formKeyField + `" value="` +
			v.newFormKey().text(d.formsKey, action) + `">`)
		return b.Bytes()
	})
}
