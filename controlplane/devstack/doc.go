// Package devstack runs the services that `dcvaas dev` and the end-to-end tests need: a Postgres
// server and a Redis server as child processes (Redis in-process if no server is installed), ACME
// test CAs, the playground DNS, and a GitHub stand-in.
//
// Every service speaks its real protocol over a real socket on 127.0.0.1. One process can run
// several of each. A service stops with its Stop method, or when the process that started it exits
// for any reason. Only commands and tests use this package, never production code.
package devstack
