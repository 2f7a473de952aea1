package dashboard

import (
	"net/url"
	"strconv"
	"strings"
)

// verifySample is an example of a receiver that verifies signatures, in one language.
type verifySample struct {
	ID, Title, Note string
	Code            recordCode
}

// verifySamples returns example receivers for a webhook's URL. They contain no secret: they read
// it from WEBHOOK_SECRET.
func verifySamples(address string) []verifySample {
	path := "/"
	if u, err := url.Parse(address); err == nil && u.EscapedPath() != "" {
		path = u.EscapedPath()
	}
	fill := func(code, path string) string {
		// An escaped path has no quotes and no backslashes, so one quoting works in all languages.
		return strings.ReplaceAll(code, "{path}", strconv.Quote(path))
	}
	pattern := "POST " + path
	if strings.HasSuffix(path, "/") {
		pattern += "{$}"
	}
	return []verifySample{
		{"go", "Go", "Requires: go get github.com/standard-webhooks/standard-webhooks/libraries",
			recordCode{ID: "verify-go", Title: "main.go", Text: fill(verifyGo, pattern)}},
		{"node", "Node", "Requires: npm install standardwebhooks",
			recordCode{ID: "verify-node", Title: "hook.mjs", Text: fill(verifyNode, path)}},
		{"python", "Python", "Uses only the standard library.",
			recordCode{ID: "verify-python", Title: "hook.py", Text: fill(verifyPython, path)}},
	}
}

const verifyGo = `package main

import (
	"io"
	"log"
	"net/http"
	"os"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

func main() {
	hook, err := standardwebhooks.NewWebhook(os.Getenv("WEBHOOK_SECRET"))
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc({path}, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil || hook.Verify(body, r.Header) != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		log.Printf("%s", body)
		w.WriteHeader(http.StatusNoContent)
	})
	log.Fatal(http.ListenAndServe(":8080", nil))
}
`

const verifyNode = `import { createServer } from "node:http";
import { Webhook } from "standardwebhooks";

const hook = new Webhook(process.env.WEBHOOK_SECRET);
createServer(async (req, res) => {
  if (req.method !== "POST" || req.url.split("?")[0] !== {path}) {
    res.writeHead(404).end();
    return;
  }
  try {
    const parts = [];
    for await (const part of req) parts.push(part);
    const event = hook.verify(Buffer.concat(parts).toString("utf8"), req.headers);
    console.log(event.type, event.data);
    res.writeHead(204).end();
  } catch {
    res.writeHead(401).end();
  }
}).listen(8080);
`

const verifyPython = `import base64, hashlib, hmac, os, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))


def genuine(headers, body):
    sent = headers.get("webhook-timestamp", "")
    if not sent.isdecimal() or abs(time.time() - int(sent)) > 300:
        return False
    signed = b".".join([headers.get("webhook-id", "").encode(), sent.encode(), body])
    want = "v1," + base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(want.encode(), s.encode()) for s in headers.get("webhook-signature", "").split(" "))


class Hook(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        ok = self.path.split("?")[0] == {path} and genuine(self.headers, body)
        if ok:
            print(body.decode())
        self.send_response(204 if ok else 401)
        self.end_headers()


ThreadingHTTPServer(("", 8080), Hook).serve_forever()
`
