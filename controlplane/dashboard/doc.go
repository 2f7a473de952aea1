// Package dashboard serves the web pages: html/template with one style sheet and a few small ES
// modules, all embedded. Every page works without JavaScript. Package program mounts the handler.
// It reads from the store and makes every change through lifecycle. It never calls the API, keeps
// no state in the process, and shows only error texts that are written for users.
//
// Each page has a file here and a template in templates/. The file builds a plain struct that the
// template shows, so decisions are made in Go.
package dashboard
