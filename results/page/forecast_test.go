package page

import (
	"strings"
	"testing"

	"github.com/kabench/kabench/internal/chromium"
	"github.com/kabench/kabench/results"
)

// played is a forecast: it has counts, and no record.
func played() *results.Run {
	doc := synthetic{4000, 400}.doc()
	doc.Name = "played"
	doc.Counts.Failed, doc.Counts.OK = 40, doc.Counts.Started-40
	doc.Statuses = map[string]uint64{"200": doc.Counts.OK}
	doc.Outcomes = []results.Outcome{{Phase: results.PhaseBeforeResponse, Cause: results.CauseFIN, Reused: true, Count: 40}}
	doc.Expect = []results.Expectation{
		{Path: "failures", Want: ">= 5", Seen: "40", Met: true},
		{Path: "failures.fresh", Want: "0", Why: "this client does not tell", Unknown: true},
	}
	doc.Forecast = &results.Simulation{
		Seconds: 14 * 86400, Seed: 1, Spans: 14,
		LeftOut: nil, // an earlier document
		Figures: []results.SimulatedCount{{Path: "failures", Mean: 2.86, Low: 2.04, High: 3.89}, {Path: "failures.before_response.fin", Mean: 2.86, Low: 2.04, High: 3.89}},
		First:   &results.SimulatedTime{Mean: 30240, Low: 22210, High: 42353},
	}
	return doc
}

// A forecast says that it is one: in the badge, in the answer and where a chart would be.
func TestForecastPage(t *testing.T) {
	b := chromium.Start(t)
	tab := visit(t, b, file(t, NewGatherer("played", played()).Data()))
	tab.until("the reasons why there are no charts", `document.querySelectorAll('.empty').length > 5`)
	if badge := eval[string](tab, `document.getElementById('badge').className + ': ' + document.getElementById('badge').textContent`); badge != "badge plain: Forecast" {
		t.Errorf("the badge is %q", badge)
	}
	head := eval[string](tab, `document.querySelector('header').innerText.replace(/\s+/g, ' ')`)
	for _, want := range []string{"no request was sent", "2.86 failures a day 95 % interval 2.04 to 3.89", "8.4 hours to the first failure, on average 95 % interval 6.17 hours to 11.8 hours", "14 days on virtual time", "kabench forecast played FORECAST"} {
		if !strings.Contains(head, want) {
			t.Errorf("the head has no %q: %s", want, head)
		}
	}
	for _, text := range eval[[]string](tab, `[...document.querySelectorAll('.empty')].map((e) => e.textContent)`) {
		if text != "None: a forecast has no record, because no request was sent." {
			t.Errorf("a chart says %q", text)
		}
	}
	if rows := eval[[]string](tab, `[...document.querySelectorAll('#expectations tbody tr')].map((r) => r.children[1].textContent)`); strings.Join(rows, ", ") != "met, NOT JUDGED" {
		t.Errorf("the verdicts are %q", rows)
	}
	if row := eval[string](tab, `[...document.querySelectorAll('#error-table tbody td')].map((c) => c.dataset.name + ' ' + c.textContent).join(', ')`); !strings.Contains(row, "count 40") || !strings.Contains(row, "reused 40") {
		t.Errorf("the failures: %s", row)
	}
	if table := eval[string](tab, `document.getElementById('forecast').innerText`); !strings.Contains(table, "2.04 to 3.89") || !strings.Contains(table, "once in 8.4 hours") {
		t.Errorf("the forecast: %s", table)
	}
	if px := eval[int](tab, `(() => { const s = document.querySelector('#expectations .scroll'); return s.scrollWidth - s.clientWidth; })()`); px > 0 {
		t.Errorf("the expectations are %d pixels wider than their place", px)
	}
	tab.quiet("file://")
}
