package dashboard

import (
	"cmp"
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
// it from WEBHOOK_SECRET. They speak plain HTTP, on the port of the URL.
func verifySamples(address string) []verifySample {
	path, port, proxy := "/", sampleProxyPort, ""
	if u, err := url.Parse(address); err == nil {
		path, port = cmp.Or(u.EscapedPath(), path), receiverPort(u)
		if u.Scheme == "https" {
			proxy = " For HTTPS, put a TLS-terminating proxy in front of it."
		}
	}
	fill := func(code, path string) string {
		// An escaped path has no quotes and no backslashes, so one quoting works in all languages.
		return strings.NewReplacer("{path}", strconv.Quote(path), "{port}", port).Replace(code)
	}
	pattern := "POST " + path
	if strings.HasSuffix(path, "/") {
		pattern += "{$}"
	}
	return []verifySample{
		{"go", "Go", "Requires: go get github.com/standard-webhooks/standard-webhooks/libraries." +
			proxy,
			recordCode{ID: "verify-go", Title: "main.go", Text: fill(verifyGo, pattern)}},
		{"node", "Node", "Uses only Node's own modules." + proxy,
			recordCode{ID: "verify-node", Title: "hook.mjs", Text: fill(verifyNode, path)}},
		{"python", "Python", "Uses only the standard library." + proxy,
			recordCode{ID: "verify-python", Title: "hook.py", Text: fill(verifyPython, path)}},
	}
}

// sampleProxyPort is the port of an example receiver behind a proxy. The development stack does not
// use it.
const sampleProxyPort = "8081"

// receiverPort returns the port on which an example receiver listens for a webhook's URL.
func receiverPort(u *url.URL) string {
	if u.Port() == "" && u.Scheme == "http" {
		return "80"
	}
	return cmp.Or(u.Port(), sampleProxyPort)
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
	log.Fatal(http.ListenAndServe(":{port}", nil))
}
`

const verifyNode = `import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const key = Buffer.from(process.env.WEBHOOK_SECRET.replace(/^whsec_/, ""), "base64");

function genuine(headers, body) {
  const id = headers["webhook-id"] ?? "";
  const sent = headers["webhook-timestamp"] ?? "";
  if (!/^\d+$/.test(sent) || Math.abs(Date.now() / 1000 - Number(sent)) > 300) return false;
  const mac = createHmac("sha256", key).update(id + "." + sent + ".").update(body);
  const want = Buffer.from("v1," + mac.digest("base64"));
  return (headers["webhook-signature"] ?? "").split(" ").some((signature) => {
    const got = Buffer.from(signature);
    return got.length === want.length && timingSafeEqual(got, want);
  });
}

createServer(async (req, res) => {
  const parts = [];
  for await (const part of req) parts.push(part);
  const body = Buffer.concat(parts);
  if (req.method !== "POST" || req.url.split("?")[0] !== {path} || !genuine(req.headers, body)) {
    res.writeHead(401).end();
    return;
  }
  console.log(body.toString("utf8"));
  res.writeHead(204).end();
}).listen({port});
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


ThreadingHTTPServer(("", {port}), Hook).serve_forever()
`
