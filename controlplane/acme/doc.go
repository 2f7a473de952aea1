// Package acme is the order engine: it takes one order at a CA as far as it can
// (RFC 8555), recording each step before one that cannot be undone is begun, so that a killed
// worker's successor goes on where it stopped. package lifecycle calls it, and implements the
// interfaces it needs. It is the only owner of lego, of which it uses acme/api alone.
//
// How an order is carried out:
//
//  1. The caller prepares the order (Prepare: key, sealed, and CSR) and stores it: created.
//  2. The CA is asked for the order; its URL is stored: ordered. A worker that is killed
//     between the two orders again: one order too many at most, and often none, because CAs
//     give back a pending order for the same names.
//  3. The authorizations are read; the TXT values still to be proved are stored and put into
//     the zone: authorized.
//  4. Journal.Publish returns when every name server of ours answers them: published.
//  5. The CA is told to validate: accepted.
//  6. The CA has validated every authorization; that the CSR will be sent is stored: ready.
//  7. The CSR is sent: finalised.
//  8. The certificate's URL is known: issued.
//  9. The chain is downloaded, checked and returned; the caller stores it, and the order as
//     stored, in one transaction.
//
// Published, accepted, finalised and issued are recorded only where the order stays there, for
// a second or at the end of the run: the next record follows within milliseconds otherwise,
// and the CA tells a successor of them.
//
// When an order is resumed the CA's word counts, not the recorded step: what the CA has
// already done is not asked for again. A fault that may pass within a second, such as a cut
// connection, is answered in the same way, by resuming.
//
// The package keeps nothing but what another process would find out by itself: connections,
// nonces, the directory, the account's key, and whether it is there, for each CA.
//
// Beside the Engine stands the Governor, which is asked before an order is begun: it keeps, in
// Redis, the count of what a CA's limits allow, so that the CA need not refuse.
package acme
