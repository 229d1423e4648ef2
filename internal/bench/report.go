package main

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// report is the result of a run: the raw figures as JSON, from which the tables are
// made.
type report struct {
	Date        time.Time           `json:"date"`
	Machine     machine             `json:"machine"`
	Command     string              `json:"command"`
	Seed        uint64              `json:"seed"` // seed of the order
	Repeats     int                 `json:"repeats"`
	Interrupted bool                `json:"interrupted,omitempty"` // by a signal, or because of Failed
	Failed      string              `json:"failed,omitempty"`
	Programs    []program           `json:"programs"`
	LeftOut     []string            `json:"left_out"`  // missing tools, each with the reason
	CannotDo    map[string][]string `json:"cannot_do"` // by scenario: tools that cannot take part, each with the reason
	Samples     []sample            `json:"samples"`   // in the order in which they were measured
	scenarios   []scenario          // the scenarios of this run
}

// program says which version of a tool was run.
type program struct {
	Tool string `json:"tool"`
	From string `json:"from"` // module and version, or path
}

type machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	System string `json:"system"`
	Go     string `json:"go"`
}

func thisMachine() machine {
	cpu, system := systemFacts()
	return machine{cpu, runtime.NumCPU(), system + " " + runtime.GOARCH, runtime.Version()}
}

// column is one figure of a table.
type column struct {
	head  string
	value func(sample) (float64, bool) // false: the sample has no such figure
	text  func(float64) string
	ratio bool // worth comparing between tools
}

var (
	lagP50  = column{"lag p50 (µs)", ofLag(func(s sample) *lags { return s.Lag }, func(l lags) float64 { return l.P50 }), thousands, true}
	lagP99  = column{"lag p99 (µs)", ofLag(func(s sample) *lags { return s.Lag }, func(l lags) float64 { return l.P99 }), thousands, true}
	later50 = column{"p50 settled", ofLag(func(s sample) *lags { return s.Settled }, func(l lags) float64 { return l.P50 }), thousands, true}
	later99 = column{"p99 settled", ofLag(func(s sample) *lags { return s.Settled }, func(l lags) float64 { return l.P99 }), thousands, true}
	cpu     = column{"CPU µs/request", func(s sample) (float64, bool) { return s.CPU, s.Requests > 0 }, decimal, true}
	share   = column{"achieved (%)", func(s sample) (float64, bool) { return s.Achieved / s.Offered * 100, s.Offered > 0 }, percent, true}
	rate    = column{"per second", func(s sample) (float64, bool) { return s.Achieved, s.Achieved > 0 }, thousands, true}
	failed  = column{"errors and drops", func(s sample) (float64, bool) {
		if s.Errors == nil {
			return 0, false
		}
		return float64(*s.Errors), true
	}, thousands, false}
	connections = column{"connections", func(s sample) (float64, bool) { return float64(s.Connections), true }, thousands, false}
	requests    = column{"requests", func(s sample) (float64, bool) { return float64(s.Requests), true }, thousands, false}
	memory      = column{"peak memory (MB)", func(s sample) (float64, bool) { return float64(s.RSS) / 1e6, s.RSS > 0 }, decimal, true}
	record      = column{"record bytes/exchange", perRequest(func(s sample) int64 { return s.Record }), decimal, false}
	resumed     = column{"resumed (%)", func(s sample) (float64, bool) { return 100 * float64(s.Resumed) / float64(s.Shaken), s.Shaken > 0 }, decimal, false}
	waiting     = column{"TIME_WAIT sockets", func(s sample) (float64, bool) { return float64(s.Waiting), s.Waiting >= 0 }, thousands, false}
	results     = column{"all results bytes/exchange", perRequest(func(s sample) int64 { return s.Results }), decimal, false}
)

func ofLag(which func(sample) *lags, f func(lags) float64) func(sample) (float64, bool) {
	return func(s sample) (float64, bool) {
		l := which(s)
		if l == nil {
			return 0, false
		}
		return f(*l), true
	}
}

func perRequest(f func(sample) int64) func(sample) (float64, bool) {
	return func(s sample) (float64, bool) { return float64(f(s)) / float64(s.Requests), f(s) > 0 }
}

// columns returns the columns of a scenario's table.
func (sc scenario) columns() []column {
	switch {
	case sc.kind == highest:
		return []column{rate, cpu, connections}
	case sc.kind == fresh && sc.job.secure():
		return []column{rate, cpu, failed, requests, resumed}
	case sc.kind == fresh:
		return []column{rate, cpu, failed, requests}
	case sc.kind == overhead && sc.job.waiting > 0:
		return []column{lagP99, cpu, record, results, memory, waiting}
	case sc.kind == overhead:
		return []column{lagP99, cpu, record, results, memory}
	case sc.kind == curved:
		return []column{lagP50, lagP99, cpu, share, failed, connections, memory, record}
	default:
		return []column{lagP50, lagP99, later50, later99, cpu, share, failed, connections, memory}
	}
}

// yardsticks are the tools that kabench is compared with, in this order.
var yardsticks = []string{"vegeta", "vegeta-uncapped", "wrk2", "wrk", "h2load", "oha", "k6"}

// markdown writes the report for people.
func (r *report) markdown(w io.Writer) error {
	p := &printer{w: w}
	p.linef("# kabench beside other load generators\n")
	p.linef("- Date: %s", r.Date.UTC().Format("2006-01-02 15:04 MST"))
	p.linef("- Machine: %s, %d cores; %s; %s", orUnknown(r.Machine.CPU), r.Machine.Cores, r.Machine.System, r.Machine.Go)
	p.linef("- Command: `%s` (order from seed %d)", r.Command, r.Seed)
	if r.Repeats == 1 {
		p.linef("- Each figure is from one run; client and server share the machine.")
	} else {
		p.linef("- Each figure is the median of %d repeats with [least, most]; client and server share the machine.", r.Repeats)
	}
	for _, prog := range r.Programs {
		p.linef("- %s: %s", prog.Tool, prog.From)
	}
	for _, why := range r.LeftOut {
		p.linef("- Left out: %s", why)
	}
	if r.Interrupted {
		p.linef("- **Interrupted**: not every scenario has all its repeats.")
	}
	if r.Failed != "" {
		p.linef("- **Failed**: %s; the tables have what was measured before.", r.Failed)
	}
	for _, sc := range r.scenarios {
		r.scenario(p, sc)
	}
	return p.err
}

func (r *report) scenario(p *printer, sc scenario) {
	p.linef("\n## %s\n\n%s\n", sc.title, sc.about)
	r.table(p, sc)
}

// table writes the table of a scenario, with what must be said about it.
func (r *report) table(p *printer, sc scenario) {
	columns := sc.columns()
	head, rule := "| tool |", "| --- |"
	for _, c := range columns {
		head += " " + c.head + " |"
		rule += " --- |"
	}
	byTool, names, notes := map[string][]sample{}, []string{}, []string{}
	for _, s := range r.Samples {
		if s.Scenario != sc.name {
			continue
		}
		if byTool[s.Tool] == nil {
			names = append(names, s.Tool)
		}
		byTool[s.Tool] = append(byTool[s.Tool], s)
	}
	if len(names) == 0 {
		p.linef("Nothing was measured.")
	} else {
		p.linef("%s\n%s", head, rule)
	}
	slices.SortStableFunc(names, func(a, b string) int { return place(a) - place(b) })
	medians := map[string][]spread{}
	for _, name := range names {
		row := "| " + name
		if byTool[name][0].Closed {
			row += " (closed loop)"
		}
		for _, c := range columns {
			s, text := cell(c, byTool[name])
			medians[name] = append(medians[name], s)
			row += " | " + text
		}
		p.linef("%s |", row)
		notes = append(notes, remarks(name, byTool[name])...)
	}
	for _, other := range yardsticks {
		mine, theirs := medians[kabenchName], medians[other]
		if mine == nil || theirs == nil {
			continue
		}
		row := "| *kabench ÷ " + other + "*"
		for i, c := range columns {
			row += " | " + quotient(c, mine[i].median, theirs[i].median)
		}
		p.linef("%s |", row)
	}
	if v := sc.beside; v != nil && medians[v.name] != nil && medians[kabenchName] != nil {
		above, below := medians[v.name], medians[kabenchName]
		if v.over {
			above, below = below, above
		}
		row := "| *" + v.ratio + "*"
		for i, c := range columns {
			row += " | " + quotient(c, above[i].median, below[i].median)
		}
		p.linef("%s |", row)
	}
	notes = append(notes, neighbours(byTool)...)
	for _, why := range r.CannotDo[sc.name] {
		notes = append(notes, "Left out: "+why+".")
	}
	if len(notes) > 0 {
		p.linef("")
	}
	for _, note := range notes {
		p.linef("- %s", note)
	}
	if sc.kind == curved {
		for _, s := range byTool[kabenchName] {
			curve(p, s)
		}
	}
}

// place returns the row of a tool in the tables.
func place(name string) int {
	i := slices.IndexFunc(tools, func(t tool) bool { return t.name == name })
	if i < 0 {
		return len(tools) // kabench run in another way
	}
	return i
}

// cell returns the spread of a column over samples, as figures and as text.
func cell(c column, samples []sample) (spread, string) {
	var values []float64
	for _, s := range samples {
		if s.Nothing != "" {
			continue
		}
		if v, ok := c.value(s); ok {
			values = append(values, v)
		}
	}
	s, ok := summarize(values)
	switch {
	case !ok:
		return s, "–"
	case s.min == s.max:
		return s, c.text(s.median)
	default:
		return s, fmt.Sprintf("%s [%s, %s]", c.text(s.median), c.text(s.min), c.text(s.max))
	}
}

func quotient(c column, mine, theirs float64) string {
	if !c.ratio || mine == 0 || theirs == 0 {
		return ""
	}
	return strconv.FormatFloat(mine/theirs, 'g', 3, 64)
}

// remarks returns what the figures of the tools leave out.
func remarks(name string, samples []sample) []string {
	var texts []string
	counts := map[string]int{}
	for _, s := range samples {
		for _, text := range []string{s.Ended, s.Nothing} {
			if text == "" {
				continue
			}
			if counts[text] == 0 {
				texts = append(texts, text)
			}
			counts[text]++
		}
		if s.Refused > 0 {
			texts = append(texts, fmt.Sprintf("the server had no file descriptors left for %d connections", s.Refused))
		}
	}
	for i, text := range texts {
		if n := counts[text]; n > 0 {
			text = fmt.Sprintf("%s (%d of %d)", text, n, len(samples))
		}
		texts[i] = name + ": " + text + "."
	}
	return texts
}

// neighbours returns how much CPU other programs used.
func neighbours(byTool map[string][]sample) []string {
	var values []float64
	for _, samples := range byTool {
		for _, s := range samples {
			if s.Others >= 0 {
				values = append(values, s.Others)
			}
		}
	}
	s, ok := summarize(values)
	if !ok {
		return nil
	}
	return []string{fmt.Sprintf("Other programs used %.2f CPUs meanwhile [%.2f, %.2f].", s.median, s.min, s.max)}
}

func decimal(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) }

func percent(f float64) string { return strconv.FormatFloat(f, 'f', 2, 64) }

// thousands returns a number as a whole number, with digits in groups of three.
func thousands(f float64) string {
	digits := strconv.FormatFloat(f, 'f', 0, 64)
	var out strings.Builder
	for i, d := range digits {
		if left := len(digits) - i; i > 0 && left%3 == 0 && digits[i-1] != '-' {
			out.WriteByte(',')
		}
		out.WriteRune(d)
	}
	return out.String()
}

func orUnknown(text string) string {
	if text == "" {
		return "unknown CPU"
	}
	return text
}

// printer writes lines and keeps the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) linef(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}
