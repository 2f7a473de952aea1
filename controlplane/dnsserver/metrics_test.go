package dnsserver

import (
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func newRegistry() *prometheus.Registry { return prometheus.NewPedanticRegistry() }

// gather returns a registry's counters and gauges in text form.
func gather(t *testing.T, reg *prometheus.Registry) string {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, f := range families {
		for _, m := range f.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, l.GetName()+`="`+l.GetValue()+`"`)
			}
			out.WriteString(f.GetName())
			if len(labels) > 0 {
				out.WriteString("{" + strings.Join(labels, ",") + "}")
			}
			out.WriteString(" " + number(m.GetCounter().GetValue()+m.GetGauge().GetValue()) + "\n")
		}
	}
	return out.String()
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
