package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestMain runs the test binary as a name server when bench starts itself as one.
func TestMain(m *testing.M) {
	if code, is := runChild(os.Args[1:], os.Stdin, os.Stdout, os.Stderr); is {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// TestMemoryFigure runs the smallest part of the bench, including the table and the file.
func TestMemoryFigure(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("requires /proc")
	}
	file := filepath.Join(t.TempDir(), "table.json")
	var out, log strings.Builder
	if code := run(t.Context(), []string{"-quick", "-rounds", "1", "-only", "^dns/memory$",
		"-json", file}, &out, &log); code != 0 {
		t.Fatalf("run() = %d, want 0\n%s", code, &log)
	}
	for _, want := range []string{"Machine: ", "| figure ", "memory of the name server",
		"≤ 100 MB"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("table lacks %q:\n%s", want, &out)
		}
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got table
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Rows) != 1 || got.Rows[0].Ours <= 0 || got.Rows[0].Met == nil {
		t.Errorf("rows of the JSON file = %+v, want one that met its target", got.Rows)
	}
}

// TestScale compares the sweeps of two small installations, and shows the slowest.
func TestScale(t *testing.T) {
	var out, log strings.Builder
	if code := run(t.Context(), []string{"-quick", "-rounds", "1", "-only", "^scale/idle$"}, &out,
		&log); code != 0 {
		t.Fatalf("run() = %d, want 0\n%s", code, &log)
	}
	if n := strings.Count(out.String(), "| scale, idle: "); n < 2 || !strings.Contains(log.String(),
		"KB per domain") {
		t.Errorf("%d rows, want at least 2, and the disk per domain in the log:\n%s%s", n, &out,
			&log)
	}
}

func TestStatistics(t *testing.T) {
	for _, c := range []struct {
		values []float64
		p      float64
		want   float64
	}{
		{nil, 50, 0}, {[]float64{3}, 99, 3}, {[]float64{4, 1, 3, 2}, 50, 2.5},
		{[]float64{3, 1, 2}, 50, 2}, {[]float64{3, 1, 2}, 99, 3}, {[]float64{5, 1, 2, 3, 4}, 20, 1},
	} {
		if got := percentile(c.values, c.p); got != c.want {
			t.Errorf("percentile %g of %v = %g, want %g", c.p, c.values, got, c.want)
		}
	}
	var tab table
	tab.add("f", "/s", []float64{10, 30, 20}, []float64{20, 20, 20}, ratioAtLeast(1))
	if r := tab.Rows[0]; r.Ratio != 1 || r.Low != 0.5 || r.High != 1.5 || !*r.Met {
		t.Errorf("add() = row %+v, want ratio 1 from 0.5 to 1.5, target met", r)
	}
	if got := number(1234567); got != "1,234,567" {
		t.Errorf("number(1234567) = %s, want 1,234,567", got)
	}
}

func TestReadDNSPerf(t *testing.T) {
	const out = "Statistics:\n\n  Queries sent:         1000\n  Queries completed:    998 (99.80%)\n  Queries lost:         2 (0.20%)\n\n" +
		"  Response codes:       NOERROR 998 (100.00%)\n  Average packet size:  request 95, response 150\n  Run time (s):         2.000100\n  Queries per second:   498.975051\n"
	r, err := readDNSPerf(out, "NOERROR")
	if err != nil || r.answers != 998 || r.lost != 2 || r.elapsed.Milliseconds() != 2000 {
		t.Errorf("readDNSPerf() = %+v, %v, want 998 answers, 2 lost, in 2 s", r, err)
	}
	if _, err := readDNSPerf(out, "NXDOMAIN"); err == nil {
		t.Error("readDNSPerf() with other rcodes succeeded, want an error")
	}
}

// TestNoises tests that each item of the group has its noise, and that filled uses the whole size.
func TestNoises(t *testing.T) {
	for _, f := range figures() {
		if f.name != "noisy" {
			continue
		}
		if len(f.items) != len(noises) {
			t.Errorf("items of the group noisy = %d, want %d", len(f.items), len(noises))
		}
		for _, item := range f.items {
			if noises[item].start == nil {
				t.Errorf("noises[%q] is missing", item)
			}
		}
	}
	for size, want := range map[int]string{4: "[]!", 9: "[0,1,2,]!", 10: "[0,1,2,]!",
		11: "[0,1,2,3,]!"} {
		if got := string(filled(size, "[", func(i int) string { return strconv.Itoa(i) + "," },
			"]!")); got != want {
			t.Errorf("filled(%d) = %q, want %q", size, got, want)
		}
	}
}

func TestFlags(t *testing.T) {
	var log strings.Builder
	for _, args := range [][]string{{"-only", "("}, {"-rounds", "-1"}, {"what"}, {"-nonsense"}} {
		if code := run(t.Context(), args, &log, &log); code != 2 {
			t.Errorf("run(%q) = %d, want 2", args, code)
		}
	}
	if code := run(t.Context(), []string{"-only", "^nothing$"}, &log, &log); code != 1 {
		t.Errorf("run() without a matching figure = %d, want 1", code)
	}
}
