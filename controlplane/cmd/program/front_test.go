package program

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// rawConn is a connection on which tests send raw bytes.
type rawConn struct {
	t *testing.T
	net.Conn
	in *bufio.Reader
}

func dialRaw(t *testing.T, addr string) *rawConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &rawConn{t: t, Conn: c, in: bufio.NewReader(c)}
}

// send sends a request and returns the response with its body.
func (c *rawConn) send(request string) (*http.Response, string) {
	c.t.Helper()
	go func() { _, _ = io.WriteString(c.Conn, request) }() // the server may not read all of it
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatalf("response to %.60q: %v", request, err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatalf("body of the response to %.60q: %v", request, err)
	}
	return resp, string(body)
}

// isClosed fails the test unless the server has closed the connection.
func (c *rawConn) isClosed() {
	c.t.Helper()
	rest, err := io.ReadAll(c.in)
	if netErr, ok := errors.AsType[net.Error](err); len(rest) > 0 || ok && netErr.Timeout() {
		c.t.Errorf("after the response: %q, %v, want the connection closed", rest, err)
	}
}

// TestRequestsThatCannotBeParsed tests that requests that net/http itself rejects get a problem
// document, even on a connection that has served other requests, and that all responses of the
// public listener have HSTS.
func TestRequestsThatCannotBeParsed(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{NoWork: true,
		Configure: func(c *Config) { c.PublicURL = "https://dcvaas.test" }})
	addr := strings.TrimPrefix(s.Env()["DCVAAS_ENDPOINT"], "http://")
	const good = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
	for what, c := range map[string]struct {
		request string
		status  int
		code    string
	}{
		"not HTTP": {"hello\r\n\r\n", 400, "malformed-http"},
		"no Host":  {"GET / HTTP/1.1\r\n\r\n", 400, "malformed-http"},
		"malformed header": {"GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", 400,
			"malformed-http"},
		"header too large": {"GET / HTTP/1.1\r\nHost: x\r\nCookie: " +
			strings.Repeat("a", 128<<10) + "\r\n\r\n", 431, "headers-too-large"},
		"query too long": {"GET /livez?" + strings.Repeat("a&", 64<<10) +
			" HTTP/1.1\r\nHost: x\r\n\r\n", 431, "headers-too-large"},
		"transfer encoding": {"POST /api/domains HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501, "transfer-encoding-unsupported"},
		"expectation": {"GET /livez HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\n\r\n", 417,
			"expectation-failed"},
		"version": {"GET / HTTP/3.7\r\nHost: x\r\n\r\n", 505, "http-version-unsupported"},
	} {
		for _, before := range []bool{false, true} {
			conn := dialRaw(t, addr)
			if before {
				if resp, body := conn.send(good); resp.StatusCode != http.StatusOK {
					t.Fatalf("response to %q = %s: %s, want 200", good, resp.Status, body)
				}
			}
			resp, body := conn.send(c.request)
			var doc struct {
				Type, Title, Code, Detail, Fix string
				Status                         int
				RequestID                      string `json:"request_id"`
			}
			if err := json.Unmarshal([]byte(body), &doc); err != nil {
				t.Errorf("%s: the body is not JSON: %v: %q", what, err, body)
				continue
			}
			if resp.StatusCode != c.status || doc.Status != c.status || doc.Code != c.code ||
				doc.Type != "https://dcvaas.test/problems/"+c.code {
				t.Errorf("%s: %s %s, want %d %s", what, resp.Status, body, c.status, c.code)
			}
			if doc.Title == "" || doc.Detail == "" || doc.Fix == "" || doc.RequestID == "" ||
				doc.RequestID != resp.Header.Get("Request-Id") {
				t.Errorf("%s: problem %s with Request-Id %q lacks a title, detail, fix, or the same request_id", what, body, resp.Header.Get("Request-Id"))
			}
			for name, want := range map[string]string{"Content-Type": "application/problem+json",
				"DCVaaS-API": "1", "Strict-Transport-Security": hsts,
				"X-Content-Type-Options": "nosniff"} {
				if got := resp.Header.Get(name); got != want {
					t.Errorf("%s: %s is %q, want %q", what, name, got, want)
				}
			}
			if !resp.Close {
				t.Errorf("%s: the response lacks Connection: close", what)
			}
			conn.isClosed()
		}
	}
	for _, path := range []string{"/livez", "/api/domains", "/api/nothing", "/problems/not-found",
		"/login", "/no/page"} {
		resp, _ := dialRaw(t, addr).send("GET " + path +
			" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		if got := resp.Header.Get("Strict-Transport-Security"); got != hsts {
			t.Errorf("GET %s: Strict-Transport-Security is %q, want %q", path, got, hsts)
		}
		if got, isAPI := resp.Header.Get("DCVaaS-API"), !strings.HasPrefix(path, "/login") &&
			!strings.HasPrefix(path, "/no"); (got == "1") != isAPI {
			t.Errorf("GET %s: DCVaaS-API is %q, want it only from the API", path, got)
		}
	}
}

// TestFrontPassesHandlerOutput tests that the output of handlers is unchanged, even if it looks
// like net/http's own errors.
func TestFrontPassesHandlerOutput(t *testing.T) {
	t.Parallel()
	const looks = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n400 Bad Request"
	large := strings.Repeat(looks, 1000)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := newServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/large": // is written around the buffers
			w.Header().Set("Content-Length", strconv.Itoa(len(large)))
			_, _ = io.WriteString(w, large)
		case "/flushed":
			for range 3 {
				_, _ = io.WriteString(w, looks)
				_ = http.NewResponseController(w).Flush()
			}
		case "/copied": // with ReadFrom
			_, _ = io.Copy(w, strings.NewReader(large))
		default:
			http.Error(w, "mine", http.StatusBadRequest)
		}
	}), slog.New(slog.DiscardHandler))
	front := withFront(server, l, false, func(status int, _ string) *http.Response {
		return &http.Response{StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Close: true,
			Header: http.Header{}}
	})
	served := make(chan error, 1)
	go func() { served <- server.Serve(front) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve = %v, want http.ErrServerClosed", err)
		}
	})
	conn := dialRaw(t, l.Addr().String())
	for path, want := range map[string]string{"/large": large, "/flushed": strings.Repeat(looks, 3),
		"/copied": large, "/error": "mine\n"} {
		resp, body := conn.send("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n")
		if body != want {
			t.Errorf("GET %s = %s with %d bytes, want %d as the handler sent them", path,
				resp.Status, len(body), len(want))
		}
		if got := resp.Header.Get("Strict-Transport-Security"); got != "" {
			t.Errorf("GET %s without HTTPS: Strict-Transport-Security is %q, want none", path, got)
		}
	}
	if resp, body := conn.send("nonsense\r\n\r\n"); resp.StatusCode != http.StatusBadRequest ||
		body != "" {
		t.Errorf("nonsense after these = %s %q, want the replaced 400", resp.Status, body)
	}
}

// TestErrorStatus tests complete and truncated status lines.
func TestErrorStatus(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int{
		"HTTP/1.1 400 Bad Request\r\n": 400, "HTTP/1.0 505 x": 505, "HTTP/1.1 431": 431,
		"HTTP/1.1 200 OK\r\n": 0, "HTTP/1.1 100 Continue\r\n\r\n": 0, "HTTP/1.1 4": 0, "": 0,
		"HTTP/1.1 abc": 0, "\x16\x03\x01 400 400": 0,
	} {
		if got, ok := errorStatus([]byte(in)); ok != (want != 0) || ok && got != want {
			t.Errorf("errorStatus(%q) = %d, %v, want %d", in, got, ok, want)
		}
	}
}
