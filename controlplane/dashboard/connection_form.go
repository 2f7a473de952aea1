package dashboard

import (
	"encoding/json"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// connectionForm is the form to add a DNS connection, or to replace its credentials, with its input
// and errors. It never shows the secret.
type connectionForm struct {
	Action, Button string
	Naming         bool // it has the field name, too
	Name           connectionField
	Server         connectionField
	KeyName        connectionField
	Algorithms     []choice
	KeySecret      connectionField // without its value
	Zones          connectionField
	Error          string // not about a field
	Open           bool
}

// connectionField is a field with its error.
type connectionField struct{ ID, Value, Error string }

func newConnectionForm(action, button string) *connectionForm {
	return &connectionForm{Action: action, Button: button, Algorithms: algorithms(""),
		Name: connectionField{ID: "name"}, Server: connectionField{ID: "server"},
		KeyName: connectionField{ID: "key-name"}, KeySecret: connectionField{ID: "key-secret"},
		Zones: connectionField{ID: "zones"}}
}

func algorithms(chosen string) []choice {
	var all []choice
	for _, a := range []string{controlplane.HMACSHA256, controlplane.HMACSHA512} {
		all = append(all, choice{Value: a, Label: a, Selected: a == chosen})
	}
	return all
}

// submittedConnection returns the submitted form, and the credentials in it.
func submittedConnection(
	v *visit, action, button string,
) (*connectionForm, json.RawMessage, error) {
	if err := v.ParseForm(); err != nil {
		return nil, nil, badForm(err)
	}
	form, text := newConnectionForm(action, button), func(name string) string {
		return strings.TrimSpace(v.PostForm.Get(name))
	}
	form.Open, form.Name.Value = true, text("name")
	form.Server.Value, form.KeyName.Value = text("server"), text("key_name")
	algorithm := v.PostForm.Get("key_algorithm")
	form.Algorithms, form.Zones.Value = algorithms(algorithm), v.PostForm.Get("zones")
	raw, err := json.Marshal(controlplane.RFC2136Credentials{Server: form.Server.Value,
		KeyName: form.KeyName.Value, Algorithm: algorithm, KeySecret: text("key_secret"),
		Zones: strings.Fields(strings.NewReplacer(",", " ", ";", " ").Replace(form.Zones.Value))})
	return form, raw, err
}

// connection returns the input of lifecycle.CreateConnection.
func (f *connectionForm) connection(credentials json.RawMessage) lifecycle.NewConnection {
	return lifecycle.NewConnection{Type: controlplane.ConnectionRFC2136, Name: f.Name.Value,
		Credentials: credentials}
}

// setErrors assigns an error to its fields. It reports whether the form can show the error.
func (f *connectionForm) setErrors(err error) bool {
	e := controlplane.AsError(err)
	switch {
	case e.Kind == controlplane.KindInvalid, e.Code == "plan-limit",
		e.Code == controlplane.CodeConnectionBusy:
	default:
		return false
	}
	if len(e.Fields) == 0 {
		f.Error = strings.TrimSpace(e.Message + " " + fixFor(e))
	}
	for _, field := range e.Fields {
		switch {
		case field.Pointer == "/name":
			f.Name.Error = field.Detail
		case field.Pointer == "/credentials/server":
			f.Server.Error = field.Detail
		case field.Pointer == "/credentials/key_name":
			f.KeyName.Error = field.Detail
		case field.Pointer == "/credentials/key_secret":
			f.KeySecret.Error = field.Detail
		case strings.HasPrefix(field.Pointer, "/credentials/zones"):
			f.Zones.Error = field.Detail
		default:
			f.Error = field.Detail
		}
	}
	return true
}

// Focus returns the ID of the first field with an error, or "".
func (f *connectionForm) Focus() string {
	for _, field := range []connectionField{f.Name, f.Server, f.KeyName, f.KeySecret, f.Zones} {
		if field.Error != "" {
			return field.ID
		}
	}
	return ""
}
