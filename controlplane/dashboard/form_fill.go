package dashboard

import (
	"bytes"
	"fmt"
	"slices"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Notices above a page with kept input: why the form was not executed.
var inputReasons = map[string]string{
	keptSignedOut: "You were signed out before this form was submitted, so nothing was changed. ",
	keptElsewhere: "You had switched to another organization when you submitted this form, so nothing was changed. ",
	keptUsed:      "This form had already been submitted, with other input. Nothing was changed this time. ",
}

// fill returns a page with the kept input in its form and a notice about it. Hidden fields keep
// what the original form had, such as its version, except the key. Fields that are not kept stay
// empty.
func (in *keptInput) fill(page []byte) ([]byte, error) {
	doc, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		return nil, fmt.Errorf("dashboard: fill in a form: %w", err)
	}
	form := find(doc, func(n *html.Node) bool {
		return n.DataAtom == atom.Form && attr(n, "action") == in.Action &&
			attr(n, "method") == "post"
	})
	notice := inputReasons[in.Why]
	switch {
	case in.Action == "":
		notice = "Your input is no longer available: it is kept for one hour, in the browser that it was entered in."
	case form == nil:
		notice += "The form is no longer on this page."
	case in.fillForm(form):
		notice += "Your input is filled in again: check it and submit it."
	default:
		notice += "Press the button again to submit it."
	}
	if main := find(doc, func(n *html.Node) bool { return n.DataAtom == atom.Main }); main != nil {
		p := &html.Node{Type: html.ElementNode, Data: "p", DataAtom: atom.P}
		setAttr(p, "class", "flash")
		setAttr(p, "id", "input-notice")
		setAttr(p, "role", "status")
		p.AppendChild(&html.Node{Type: html.TextNode, Data: notice})
		main.InsertBefore(p, main.FirstChild)
	}
	var b bytes.Buffer
	err = html.Render(&b, doc)
	return b.Bytes(), err
}

// fillForm fills in a form and opens what hides it. It reports whether the form has visible fields.
func (in *keptInput) fillForm(form *html.Node) bool {
	for n := form.Parent; n != nil; n = n.Parent {
		if n.DataAtom == atom.Details {
			setAttr(n, "open", "")
		}
	}
	visible := false
	for n := range form.Descendants() {
		name := attr(n, "name")
		values, kept := in.Fields[name]
		switch n.DataAtom {
		case atom.Input:
			visible = in.fillInput(n, values, kept) || visible
		case atom.Textarea:
			visible = true
			for n.FirstChild != nil {
				n.RemoveChild(n.FirstChild)
			}
			if kept {
				n.AppendChild(&html.Node{Type: html.TextNode, Data: values[0]})
			}
		case atom.Select:
			visible = true
			for option := range n.Descendants() {
				if option.DataAtom == atom.Option {
					setFlag(option, "selected", slices.Contains(values, attr(option, "value")))
				}
			}
		}
	}
	return visible
}

// fillInput fills in an input element. It reports whether the element is visible.
func (in *keptInput) fillInput(n *html.Node, values []string, kept bool) bool {
	switch attr(n, "type") {
	case "hidden":
		if kept && attr(n, "name") != formKeyField {
			setAttr(n, "value", values[0])
		}
		return false
	case "checkbox", "radio":
		setFlag(n, "checked", slices.Contains(values, attr(n, "value")))
	case "password":
	default:
		if kept {
			setAttr(n, "value", values[0])
		}
	}
	return true
}

func find(n *html.Node, is func(*html.Node) bool) *html.Node {
	for c := range n.Descendants() {
		if c.Type == html.ElementNode && is(c) {
			return c
		}
	}
	return nil
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func setAttr(n *html.Node, name, value string) {
	for i := range n.Attr {
		if n.Attr[i].Key == name {
			n.Attr[i].Val = value
			return
		}
	}
	n.Attr = append(n.Attr, html.Attribute{Key: name, Val: value})
}

// setFlag sets or removes a boolean attribute.
func setFlag(n *html.Node, name string, on bool) {
	n.Attr = slices.DeleteFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
	if on {
		setAttr(n, name, "")
	}
}
