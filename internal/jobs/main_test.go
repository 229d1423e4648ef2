package main

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Twenty jobs run as a CI system runs them. They are short and nothing is judged by time, so
// that a busy machine changes none of it: many more failures are found in every job, and of the
// unchanged service most jobs pass.
func TestTwentyJobs(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds kabench")
	}
	docs := filepath.Join(t.TempDir(), "ci.md")
	if err := os.WriteFile(docs, []byte("before\n"+begin+"old\n"+end+"after\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var table, chatter bytes.Buffer
	code := run(t.Context(), []string{"--jobs", "20", "--at-once", "4", "--rate", "400", "--duration", "500ms", "--failing", "0.05", "--more-failing", "0.5",
		"--seed", "7", "--set", "load.max_lag=0", "--set", "expect.response.p99=not worse than 100000% of baseline", "--docs", docs}, &table, &chatter)
	if code != exitFailed { // all delays are allowed, so no slower job is found
		t.Fatalf("exit code %d\n%s%s", code, table.String(), chatter.String())
	}
	for kind, want := range map[string]string{"failing": "worse: failures.rate", "slower": "passed"} {
		if all, found := strings.Count(chatter.String(), ": "+kind+": "), strings.Count(chatter.String(), ": "+kind+": "+want); all < 6 || all-found > 1 {
			t.Errorf("%d of %d %s jobs say %q\n%s", found, all, kind, want, chatter.String())
		}
	}
	if passed := strings.Count(chatter.String(), ": same: passed"); passed < 5 {
		t.Errorf("%d of 7 jobs of the same service passed\n%s", passed, chatter.String())
	}
	text, err := os.ReadFile(docs)
	if err != nil || !strings.HasPrefix(string(text), "before\n"+begin+"\n| service |") || !strings.HasSuffix(string(text), end+"after\n") || !strings.Contains(string(text), table.String()) {
		t.Errorf("%v\n%s", err, text)
	}
	if !strings.Contains(table.String(), "55 % of requests fail instead of 5 %") || !strings.Contains(table.String(), "0 runs were invalid") {
		t.Error(table.String())
	}
}

// What the table says follows from the jobs.
func TestReport(t *testing.T) {
	r := &report{options: &options{jobs: 200, atOnce: 2, rate: 2000, duration: 3 * time.Second, service: usual, fails: 0.01, slower: 1.1}}
	add := func(k kind, n int, worse ...string) {
		for range n {
			r.jobs = append(r.jobs, job{kind: k, judged: true, worse: worse, p99: 0.1, failed: 0.005})
		}
	}
	same, failing, slower := kinds[0], kinds[1], kinds[2]
	add(same, 65)
	add(same, 2, "response.p99")
	add(failing, 66, "failures.rate")
	add(failing, 1, "response.p99") // not for its reason
	add(slower, 60, "response.p99")
	add(slower, 6)
	r.jobs = append(r.jobs, job{kind: same, invalid: tries})
	want := []string{"| the same: false alarms | 67 | 2 | 3.0 % | 0.4 % to 10.4 % |", "| 1.5 % of requests fail instead of 0.5 % | 67 | 66 | 98.5 % |", "| all delays +10 % | 66 | 60 | 90.9 % |", "3 runs were invalid and made again; 1 job was not judged."}
	for _, line := range want {
		if text := r.markdown(); !strings.Contains(text, line) {
			t.Errorf("no %s in\n%s", line, text)
		}
	}
	if r.broken() {
		t.Error("all promises are kept")
	}
	add(slower, 1)
	if !r.broken() {
		t.Error("60 of 67 are less than 90 %")
	}
	if err := r.placeIn(filepath.Join(t.TempDir(), "none.md")); err == nil {
		t.Error("a document that does not exist")
	}
}

func TestParseRefuses(t *testing.T) {
	for line, want := range map[string]string{
		"--jobs 2": "is not between 3", "--at-once 0": "is not between 1", "--duration 1ms": "is not between", "--rate 0": "is not between",
		"--failing 0.9 --more-failing 0.2": "do not stay between 0 and 1", "--slower 0": "is not between", "more": "takes flags only",
	} {
		var said bytes.Buffer
		if _, err := parse(strings.Fields(line), &said); err == nil || !strings.Contains(said.String(), want) {
			t.Errorf("%s: %v, %s", line, err, said.String())
		}
	}
	if _, err := parse([]string{"--help"}, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Error(err)
	}
}
