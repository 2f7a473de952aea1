// Package edge holds what the API and the dashboard share where requests come in. cmd makes one of each for the process
// and gives it to both. It never imports either of them, nor the store.
package edge
