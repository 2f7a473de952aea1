package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// The headers of Standard Webhooks.
const (
	headerID        = "webhook-id"
	headerTimestamp = "webhook-timestamp"
	headerSignature = "webhook-signature"
)

// headers returns the request headers of a message.
func headers(m controlplane.Message) map[string]string {
	timestamp := strconv.FormatInt(m.At.Unix(), 10)
	signatures := make([]string, len(m.Keys))
	for i, key := range m.Keys {
		signatures[i] = sign(key, m.ID, timestamp, m.Body)
	}
	return map[string]string{
		"content-type": "application/json", "user-agent": userAgent,
		headerID: m.ID, headerTimestamp: timestamp, headerSignature: strings.Join(signatures, " "),
	}
}

// sign returns a version 1 signature: HMAC-SHA256 over ID, timestamp, and body.
func sign(key []byte, id, timestamp string, body []byte) string {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(id + "." + timestamp + "."))
	h.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(h.Sum(nil))
}
