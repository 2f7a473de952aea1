// Package soak simulates a year in minutes: domains with 6-, 45-, and 90-day profiles, two CAs, and
// a clock that skips to the next time at which something is due, while CAs, DNS, Redis, and workers
// fail. It also runs one order with each fault of a CA at each step (matrix*_test.go). It contains
// only tests.
//
// Real components are Postgres, package lifecycle with its sweeps and jobs, the order engine with
// its breaker and its governor, Redis in this process (its clock follows the test's), and ACME over
// HTTPS. The stand-ins are:
//
//   - The CAs (ca*_test.go) implement RFC 8555 and RFC 9773 with the test's clock, which Pebble
//     cannot use. They enforce the limits that the governor models with their own counts, check
//     each TXT value in the validation zone's table, and issue chains with the profile's lifetime.
//     Validation and issuance take time, replicas lag, and a second request to validate is
//     rejected.
//   - DNS (dns_test.go) reports for each domain whether its delegation exists.
//   - The queue (transport_test.go) passes tasks from DispatchDue to RunJob in memory, because
//     Asynq uses the real clock. It loses what Redis loses. Package queue and the program's tests
//     cover the faults that Asynq itself survives.
//   - The engine waits through the test's clock, which moves once all workers wait (clock_test.go).
//   - Leases use the database's clock, which cannot skip. The leases of killed workers are expired
//     at the next step of the clock.
//   - The sweeps run once per hour, not every minute, so each renewal is half an hour late on
//     average.
//
// # Faults
//
// A fault that affects all domains starts three days or more after the previous one has ended: an
// outage of one CA for up to two days, a rejected account for up to 12 hours, limits with unknown
// wording and pauses for some names, resolvers, Redis, or a name server of the zone unavailable for
// hours, the zone not delegated for hours, an emptied Redis, the death of all workers, a request to
// renew immediately, and both CAs rejecting orders for some registered domains over a known limit
// that ends before the time that they state. The first outage of all CAs lasts 70 hours, and later
// ones up to 70 hours. That is the longest outage for which renewal remains possible: a 6-day
// certificate has 72 hours left when it is due, so a certificate that becomes due when the outage
// starts has two hours left when it ends. A domain's DNS is broken for up to a day, but not within
// a day of an outage of all CAs that lasts longer than that.
//
// Single requests fail, too: closed connections, 503 with a Retry-After of up to 30 days, 429, null
// or half of the body, rejected nonces, and failed validations. Some orders are in processing for
// hours, remain ready after the CSR was accepted, are missing on a replica for up to 20 seconds, or
// are pending with a Retry-After of a day. Customers add domains and do nothing else: nobody
// restarts a job.
//
// # Assertions
//
// At every step of the clock, before any work, no certificate has expired. No CA limit is exceeded.
// Two kinds of rejections over a limit are counted separately: if Redis was emptied or unavailable,
// its count is lost, and the CA may reject orders until the limit's period is over; and in the last
// quarter of a certificate's lifetime, an attempt is made although the governor holds all CAs. The
// number of these forced attempts is reported. With 100 domains or more, there must be some if the
// CAs stated too long a limit: without them, 6-day certificates would expire. No job is
// dead-lettered without a successor for its domain. The log has one domain.renewed entry per
// renewal. The total number of orders at the CAs is at most 5% above the minimum.
//
// # The minimum
//
// The minimum is calculated independently of the product, from the time of each domain's first
// certificate: one order for that, and one each time that a certificate with the profile's
// lifetime, issued at the previous such time, has a third of its lifetime left (half if it is under
// 10 days).
// If the domain's CA requested immediate renewal, that time counts instead. Nothing else is
// deducted: windows slightly earlier than the lifetime requires, orders lost in an outage, a worker
// killed before it stored its order, failed validations, and orders that were set aside for another
// CA all count against the 5%. A renewal that faults delayed counts in favor of the result.
//
// # Several names
//
// Every fifth domain of the year has www and a wildcard under another registered domain, too, each
// with its own target. The CA often knows one of the names from an earlier order, or another lags.
//
// # The matrix
//
// TestMatrix runs a first certificate or a renewal for each combination of a step (a request of an
// order, or the result of one), a fault of the CA, its frequency (once, twice, or for hours), and
// the presence of a second CA that works. A part of the faults also occurs in an order of several
// names: one of them lags, one is valid from an earlier order, and the fault of an authorization
// concerns the third. Each cell has its own clock, CAs, engine, and service.
// It shares only Postgres and Redis with the cells before it. A cell fails if
//
//   - the certificate is late (bound in matrix_check_test.go states the limits),
//   - a wait ends after the deadline,
//   - a run sends more than 20 requests for an order and 6 for each authorization, or places more
//     than two orders at a CA,
//   - a limit of a CA is exceeded,
//   - a code or text names the wrong party, mentions the challenge record for another problem or
//     a name that did not fail, or reports a fault of the CA as internal,
//   - after hours of the fault, its cause is not shown, or
//   - a certificate that a CA issued is never stored, unless the fault is permanent.
package soak
