// Package webhook posts events to customers' URLs, signed according to Standard Webhooks
// (https://www.standardwebhooks.com). It makes one attempt and returns its result. Package
// lifecycle decides when to call it and what follows. Because customers choose the URLs, it
// connects only to the public Internet (package publicnet).
//
//   - sign.go signs a message.
//   - post.go makes an attempt.
//   - errors.go describes a failed attempt for the customer.
package webhook
