package program

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// A page of the queue monitor refers to no other host, and everything that it refers to is there.
func TestQueueMonitorLoadsNothingFromOtherHosts(t *testing.T) {
	s := startStack(t, DevConfig{})
	get := func(path string) (string, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
			s.Env()["DCVAAS_OPS_URL"]+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK || len(body) == 0 {
			t.Fatalf("GET %s: status %d, %d bytes, %v", path, resp.StatusCode, len(body), err)
		}
		return string(body), resp.Header.Get("Content-Type")
	}
	page, kind := get(monitorPath + "/")
	if !strings.HasPrefix(kind, "text/html") || strings.Contains(page, "://") {
		t.Errorf("%s page, want one of type text/html that refers to no other host:\n%.2000s", kind, page)
	}
	files := regexp.MustCompile(`(?:href|src)="([^"]+)"`).FindAllStringSubmatch(page, -1)
	if len(files) < 5 {
		t.Fatalf("the page refers to %d files: %q", len(files), files)
	}
	for _, file := range files {
		if body, kind := get(file[1]); strings.HasPrefix(kind, "text/html") &&
			strings.Contains(body, "<html") {
			t.Errorf("%s is a page, want a file", file[1])
		}
	}
}
