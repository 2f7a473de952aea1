// Package dashboard serves the pages for people: html/template with one style sheet and a
// few small ES modules, all embedded, and useful without any script. cmd mounts it. It reads
// from the store, and asks lifecycle for every change; it never calls the API, keeps no
// state in the process, and shows an error's words only where they were written for people.
//
// A page is a file here with its template in templates/: what the template shows is a plain
// struct that the file makes, so that every word and every decision is in Go.
package dashboard
