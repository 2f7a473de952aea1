// Package webhook posts events to where customers want them, signed by Standard Webhooks
// (https://www.standardwebhooks.com). It makes one attempt and says what came of it;
// lifecycle decides when, and what follows. Since customers name the addresses, it connects
// to the public Internet only.
//
//   - sign.go signs a message
//   - guard.go looks at every address that is about to be connected to
//   - post.go makes an attempt
//   - errors.go says to the customer why none came through
package webhook
