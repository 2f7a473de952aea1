package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// machine describes the machine and the software versions.
type machine struct {
	OS       string `json:"os"`
	Cores    int    `json:"cores"`
	CPU      string `json:"cpu,omitempty"`
	Load     string `json:"load,omitempty"` // load average of one minute before the run
	Go       string `json:"go"`
	Postgres string `json:"postgres,omitempty"`
	Redis    string `json:"redis,omitempty"`
}

func describeMachine() machine {
	m := machine{OS: runtime.GOOS + "/" + runtime.GOARCH, Cores: runtime.GOMAXPROCS(0),
		Go: runtime.Version()}
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load, _, _ = strings.Cut(string(b), " ")
	}
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, value, ok := strings.Cut(line, ":"); ok &&
				strings.TrimSpace(name) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	return m
}

// String returns the line above the table.
func (m machine) String() string {
	parts := []string{m.OS, fmt.Sprintf("%d cores", m.Cores)}
	for _, p := range []struct{ name, value string }{{"", m.CPU}, {"load before ", m.Load},
		{"", m.Go}, {"Postgres ", m.Postgres}, {"Redis ", m.Redis}} {
		if p.value != "" {
			parts = append(parts, p.name+p.value)
		}
	}
	return "Machine: " + strings.Join(parts, ", ") +
		"; it runs the servers, load generators, and limits."
}
