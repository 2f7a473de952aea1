// Package soak lives through a year in minutes: domains on 6-, 45- and 90-day profiles, two
// CAs, and a clock that leaps from one due thing to the next, while CAs, DNS, Redis and
// workers fail. It holds tests only, and nothing imports it.
//
// What is real: Postgres, package lifecycle with its sweeps and jobs, the order engine with
// its breaker and its governor, Redis in this process (its own time leaps along), ACME over
// HTTPS. What stands in:
//
//   - The CAs (ca*_test.go) speak RFC 8555 and RFC 9773 and go by the test's clock, as Pebble
//     cannot. They hold to the limits that the governor models, each by a count of their own,
//     look for each TXT value in the validation zone's table, and issue chains that end at
//     the profile's time.
//   - DNS (dns_test.go) says of each domain whether its delegation stands.
//   - The queue (transport_test.go) carries tasks from DispatchDue to RunJob in memory: Asynq
//     waits by the real clock. It loses what Redis loses. What Asynq itself survives is shown
//     by package queue and by the program's tests.
//   - Leases go by the database's clock, which cannot leap: those of killed workers are made
//     to end at the next leap.
//   - The sweeps run once an hour, not each minute: each renewal comes half an hour late on
//     average.
//
// # What is asserted
//
// At every leap, before anything is done about it, no certificate has ended. No limit of a CA
// is passed; where Redis was emptied or away its count is lost, and the CA may refuse until
// the limit's own time is over: such refusals are counted apart. No job ends dead with a
// domain left behind. The log has one domain.renewed for each renewal. And the orders that
// the CAs made, all of them, are at most 5 % more than the minimum.
//
// # The minimum
//
// It is worked out beside the product, from when each domain got its first certificate: one
// order for that, and one each time that a certificate of the profile's lifetime, begun at
// the last such moment, has a third of it left (half where it is under 10 days). Where the
// domain's CA called for renewal at once, that moment counts instead. Nothing is forgiven
// beyond that: windows that come a little earlier than the lifetime asks for, orders lost to an
// outage, a worker killed before it could write down its order, and failed validations all
// count against the 5 %. A renewal that faults held up counts in its favour.
package soak
