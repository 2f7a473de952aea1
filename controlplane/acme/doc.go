// Package acme is the order engine. It takes one order at a CA as far as possible (RFC 8555) and
// records each irreversible step before taking it, so that another worker can resume the order
// after a crash. Package lifecycle calls it and implements the interfaces that it needs. It is the
// only package that imports lego, and it uses only lego's acme/api.
//
// The steps of an order are:
//
//  1. The caller prepares the order (Prepare: sealed key and CSR) and stores it: created.
//  2. The order is placed at the CA, and its URL is stored: ordered. If the worker stops between
//     the two, the next one places the order again. This costs at most one extra order, and often
//     none, because CAs return an existing pending order for the same names.
//  3. The authorizations are fetched. The TXT values of pending ones are stored and added to the
//     zone: authorized.
//  4. Journal.Publish returns when every name server of the zone serves them: published.
//  5. The CA is asked to validate: accepted.
//  6. The CA has validated every authorization. The intent to send the CSR is stored: ready.
//  7. The CSR is sent: finalised.
//  8. The certificate's URL is known: issued.
//  9. The chain is downloaded, checked, and returned. The caller stores it and marks the order as
//     stored, in one transaction.
//
// Published, accepted, finalised, and issued are recorded only if the order stays at that step for
// a second or at the end of the run. Otherwise the next record follows within milliseconds, and a
// new worker gets the state from the CA.
//
// A resumed order follows the CA's state, not the recorded step: actions that the CA has already
// completed are not repeated. A transient fault, such as a broken connection, is handled in the
// same way, by resuming.
//
// The package caches only what another process can recreate: for each CA the connections, the
// nonces, the directory, and the registered account with its key.
//
// The Governor decides before an order is placed. It counts in Redis what a CA's rate limits allow,
// so that the CA does not have to reject the order.
package acme
