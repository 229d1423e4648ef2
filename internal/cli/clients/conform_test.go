package clients

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/conform"
	"github.com/kabench/kabench/internal/exit"
)

// report has one result with the verdict.
func report(v conform.Verdict) conform.Report {
	return conform.Report{Driver: "okhttp", Client: "OkHttp", Version: "4.12.0", Preset: "okhttp", Results: []conform.Result{{
		Story: "race-fin-get", Asks: "Is it sent again?", About: conform.AboutRaces, Verdict: v, Why: map[bool]string{true: "too busy"}[v == conform.Disturbed],
		Differences: []conform.Difference{{What: "request 2", Client: "GET 200, reused + fresh", Preset: "GET failed, reused"}},
	}}}
}

func TestExitOfConform(t *testing.T) {
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for name, c := range map[string]struct {
		ctx     context.Context
		reports []conform.Report
		want    exit.Code
	}{
		"all agree":     {t.Context(), []conform.Report{report(conform.Agrees), report(conform.Known)}, exit.Done},
		"one differs":   {t.Context(), []conform.Report{report(conform.Disturbed), report(conform.Differs)}, exit.Unmet},
		"not judged":    {t.Context(), []conform.Report{report(conform.Agrees), report(conform.Disturbed)}, exit.Invalid},
		"not played":    {t.Context(), []conform.Report{report(conform.Differs), {Error: "it did not start"}}, exit.Input},
		"somebody left": {stopped, []conform.Report{report(conform.Agrees)}, exit.Interrupted},
	} {
		if got := exitOf(c.ctx, c.reports); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// A difference is printed with both plays, and a sum without a judged pair has no share.
func TestPrintReports(t *testing.T) {
	print := func(reports ...conform.Report) string {
		var b bytes.Buffer
		if err := printReports(&cli.Streams{Out: &b}, reports); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	got := print(report(conform.Differs), report(conform.Agrees))
	for _, want := range []string{
		"okhttp: OkHttp 4.12.0 beside preset okhttp\n", "0 of 1 stories agree, 0 are known differences, 1 differ;",
		"names no version that it was run for; this is 4.12.0", "differs: race-fin-get\n", "Is it sent again?",
		"request 2  GET 200, reused + fresh  GET failed, reused", "2 pairs of a story and a client: 1 agree", "50.0 %",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	got = print(report(conform.Disturbed), report(conform.NotPlayed))
	if !strings.Contains(got, "why: too busy") || !strings.Contains(got, "No pair of a story and a client was judged.") || strings.Contains(got, "%") {
		t.Errorf("nothing was judged:\n%s", got)
	}
}
