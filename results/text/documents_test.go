package text

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/expect"
	"github.com/kabench/kabench/results/record"
)

func FuzzComparisonDocument(f *testing.F) {
	f.Add([]byte(`{"schema":"kabench.comparison/v1","arms":[{"name":"x","measures":{"y":{"unit":"count","per_run":[1]}}}],"pairs":[{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := record.DecodeComparison(data)
		if err != nil {
			return
		}
		var text strings.Builder
		must(t, RenderComparison(&text, c))
		must(t, record.EncodeComparison(&text, c))
	})
}

func FuzzRunDocument(f *testing.F) {
	var b bytes.Buffer
	run := filled(tallied(mixed(100)), time.Second)
	run.Profile = begun().Profile
	must(f, record.EncodeRun(&b, run))
	f.Add(b.Bytes())
	f.Add([]byte(`{"schema":"kabench.run/v1"}`))
	f.Add([]byte(`{"schema":"kabench.run/v1","idle_at_failure":{},"lab":{},"latency":{"response":{"count":1,"p50":-1e300}}}`))
	f.Add([]byte(`{"schema":"kabench.run/v2"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		run, err := record.DecodeRun(data)
		if err != nil {
			return
		}
		var text, again bytes.Buffer
		must(t, RenderRun(&text, run))
		must(t, RenderReproduction(&text, &results.Reproduction{IncidentRun: run, RemedyRuns: []results.RemedyRun{{Run: run}, {}}}))
		expect.Check(run, map[string]string{"failures.rate": "< 1%", "response.p99": "> 0", "sockets.time_wait_server_peak": "0"})
		must(t, record.EncodeRun(&again, run))
		if _, err := record.DecodeRun(again.Bytes()); err != nil {
			t.Errorf("what was written cannot be read: %v", err)
		}
	})
}

func FuzzReproductionDocument(f *testing.F) {
	f.Add([]byte(`{"schema":"kabench.reproduction/v1","incident_run":{"schema":"kabench.run/v1"},"remedy_runs":[{"remedy":"x"},{"valid":true}]}`))
	f.Add([]byte(`{"schema":"kabench.reproduction/v1"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := record.DecodeReproduction(data)
		if err != nil {
			return
		}
		var text strings.Builder
		must(t, RenderReproduction(&text, r))
		must(t, record.EncodeReproduction(&text, r))
	})
}
