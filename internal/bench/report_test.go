package main

import (
	"strings"
	"testing"
	"time"
)

func number(n int64) *int64 { return &n }

func TestMarkdown(t *testing.T) {
	steady := scenario{name: "steady", title: "Steady", about: "About it.", kind: paced}
	top := scenario{name: "highest", title: "Highest", about: "About that.", kind: highest}
	none := scenario{name: "fresh", title: "Fresh", about: "About none.", kind: fresh}
	over := scenario{name: "overhead", title: "Overhead", about: "About more.", kind: overhead, beside: &bare}
	figures := func(tool string, repeat int, p50, p99, cpu float64) sample {
		return sample{
			Scenario: "steady", Tool: tool, Repeat: repeat, Offered: 400, Achieved: 399, Requests: 4000, CPU: cpu,
			Lag: &lags{P50: p50, P99: p99}, Settled: &lags{P50: p50 / 2, P99: p99 / 2}, Errors: number(0), Connections: 16, RSS: 20_500_000, Others: 0.25,
		}
	}
	r := &report{
		Date: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC), Machine: machine{"Some CPU", 2, "Linux 6 amd64", "go1.26"},
		Command: "go run ./internal/bench --repeats 3", Seed: 7, Repeats: 3,
		Programs: []program{{"kabench", "kabench devel"}, {"vegeta", "module@v1"}},
		LeftOut:  []string{"fortio: no such module"}, CannotDo: map[string][]string{"steady": {"wrk: it cannot offer a rate"}},
		scenarios: []scenario{steady, top, over, none},
		Samples: []sample{
			figures("vegeta", 1, 800, 2000, 480), figures("kabench", 1, 100, 500, 120),
			figures("kabench", 2, 90, 1_234_567, 118), figures("vegeta", 2, 800, 2000, 480),
			figures("kabench", 3, 110, 600, 130),
			{Scenario: "steady", Tool: "hey", Repeat: 1, Offered: 400, Others: -1, Ended: "exit status 1", Nothing: "no request arrived (exit status 1): usage"},
			{Scenario: "highest", Tool: "wrk", Repeat: 1, Closed: true, Achieved: 100_000, Requests: 300_000, CPU: 9, Connections: 16, Others: -1},
			{Scenario: "overhead", Tool: "kabench", Offered: 10_000, Requests: 1000, CPU: 30, Record: 25_000, Results: 26_000, Others: -1},
			{Scenario: "overhead", Tool: bare.name, Offered: 10_000, Requests: 1000, CPU: 24, Others: -1},
		},
	}
	var out strings.Builder
	if err := r.markdown(&out); err != nil {
		t.Fatal(err)
	}
	const want = `# kabench beside other load generators

- Date: 2030-01-02 03:04 UTC
- Machine: Some CPU, 2 cores; Linux 6 amd64; go1.26
- Command: ` + "`go run ./internal/bench --repeats 3`" + ` (order from seed 7)
- Each figure is the median of 3 repeats with [least, most]; client and server share the machine.
- kabench: kabench devel
- vegeta: module@v1
- Left out: fortio: no such module

## Steady

About it.

| tool | lag p50 (µs) | lag p99 (µs) | p50 settled | p99 settled | CPU µs/request | achieved (%) | errors and drops | connections | peak memory (MB) |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
| kabench | 100 [90, 110] | 600 [500, 1,234,567] | 50 [45, 55] | 300 [250, 617,284] | 120.0 [118.0, 130.0] | 99.75 | 0 | 16 | 20.5 |
| vegeta | 800 | 2,000 | 400 | 1,000 | 480.0 | 99.75 | 0 | 16 | 20.5 |
| hey | – | – | – | – | – | – | – | – | – |
| *kabench ÷ vegeta* | 0.125 | 0.3 | 0.125 | 0.3 | 0.25 | 1 |  |  | 1 |

- hey: exit status 1 (1 of 1).
- hey: no request arrived (exit status 1): usage (1 of 1).
- Other programs used 0.25 CPUs meanwhile [0.25, 0.25].
- Left out: wrk: it cannot offer a rate.

## Highest

About that.

| tool | per second | CPU µs/request | connections |
| --- | --- | --- | --- |
| wrk (closed loop) | 100,000 | 9.0 | 16 |

## Overhead

About more.

| tool | lag p99 (µs) | CPU µs/request | record bytes/exchange | all results bytes/exchange | peak memory (MB) |
| --- | --- | --- | --- | --- | --- |
| kabench | – | 30.0 | 25.0 | 26.0 | – |
| kabench --no-instruments | – | 24.0 | – | – | – |
| *with ÷ without* |  | 1.25 |  |  |  |

## Fresh

About none.

Nothing was measured.
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestThousands(t *testing.T) {
	for f, want := range map[float64]string{0: "0", 999: "999", 1000: "1,000", 1234567.8: "1,234,568", -1000: "-1,000", -100: "-100"} {
		if got := thousands(f); got != want {
			t.Errorf("%v: %q, want %q", f, got, want)
		}
	}
}
