// Package devstack is what `dcvaas dev` and the end-to-end tests start around the product: a Postgres server and a Redis
// server as child processes (Redis in-process where no server is installed), ACME test CAs, the playground DNS, and a stand-in for GitHub's login.
//
// Every part speaks its real protocol over a real socket on 127.0.0.1, several of each can run in one process, and each
// ends with its Stop, or with the process that started it, however that one dies. Commands and tests call this package;
// nothing that serves a customer does, and it imports no other package of this module.
package devstack
