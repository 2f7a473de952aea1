// Package soak simulates a year in minutes: domains with 6-, 45-, and 90-day profiles, two CAs, and
// a clock that skips to the next time at which something is due, while CAs, DNS, Redis, and workers
// fail. It contains only tests.
//
// Real components are Postgres, package lifecycle with its sweeps and jobs, the order engine with
// its breaker and its governor, Redis in this process (its clock follows the test's), and ACME over
// HTTPS. The stand-ins are:
//
//   - The CAs (ca*_test.go) implement RFC 8555 and RFC 9773 with the test's clock, which Pebble
//     cannot use. They enforce the limits that the governor models with their own counts, check
//     each TXT value in the validation zone's table, and issue chains with the profile's lifetime.
//   - DNS (dns_test.go) reports for each domain whether its delegation exists.
//   - The queue (transport_test.go) passes tasks from DispatchDue to RunJob in memory, because
//     Asynq uses the real clock. It loses what Redis loses. Package queue and the program's tests
//     cover the faults that Asynq itself survives.
//   - Leases use the database's clock, which cannot skip. The leases of killed workers are expired
//     at the next step of the clock.
//   - The sweeps run once per hour, not every minute, so each renewal is half an hour late on
//     average.
//
// # Assertions
//
// At every step of the clock, before any work, no certificate has expired. No CA limit is exceeded.
// If Redis was emptied or unavailable, its count is lost, and the CA may reject orders until the
// limit's period is over; these rejections are counted separately. No job is dead-lettered without
// a successor for its domain. The log has one domain.renewed entry per renewal. The total number
// of orders at the CAs is at most 5% above the minimum.
//
// # The minimum
//
// The minimum is calculated independently of the product, from the time of each domain's first
// certificate: one order for that, and one each time that a certificate with the profile's
// lifetime, issued at the previous such time, has a third of its lifetime left (half if it is under
// 10 days).
// If the domain's CA requested immediate renewal, that time counts instead. Nothing else is
// deducted: windows slightly earlier than the lifetime requires, orders lost in an outage, a worker
// killed before it stored its order, and failed validations all count against the 5%. A renewal
// that faults delayed counts in favor of the result.
package soak
