package results

import (
	"errors"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// compared is a small comparison: two arms, two runs of each, one excluded.
func compared() *Comparison {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return &Comparison{
		Version: "v1.2.3", Name: "quick", Question: "which?", Start: start, End: start.Add(time.Minute),
		Seed: 7, Repeats: 2, Confidence: 0.95,
		Axes: []Axis{{Path: "pool.idle_timeout", Values: []string{"0", "3s"}}},
		Arms: []Arm{
			{Name: "idle_timeout=0", Change: map[string]string{"pool.idle_timeout": "0"}, Runs: 2, Measures: map[string]Measure{
				MeasureFailureRate:                          {Unit: UnitRatio, Known: true, Value: 0.1, Bounded: true, Low: 0.08, High: 0.12, Per: []float64{0.1, 0.1}},
				MeasureFailureRate + ".before_response.fin": {Unit: UnitRatio, Known: true, Value: 0.1, Bounded: true, Low: 0.08, High: 0.12, Per: []float64{0.1, 0.1}},
				MeasureResponse + ".p99":                    {Unit: UnitSeconds, Known: true, Value: 0.05, Per: []float64{0.05, 0.05}, Why: "two runs are too few for an interval"},
			}},
			{Name: "idle_timeout=3s", Change: map[string]string{"pool.idle_timeout": "3s"}, Runs: 1, Excluded: 1, Measures: map[string]Measure{
				MeasureFailureRate: {Unit: UnitRatio, Known: true, Bounded: true, High: 0.003, Per: []float64{0}},
			}},
		},
		Runs: []ComparedRun{
			{Arm: "idle_timeout=0", Block: 1, Dir: "01-idle_timeout-0"},
			{Arm: "idle_timeout=3s", Block: 1, Dir: "02-idle_timeout-3s", CoolDown: &CoolDown{Seconds: 1.5}},
			{Arm: "idle_timeout=3s", Block: 2, Dir: "03-idle_timeout-3s", Excluded: "lag p99 of 9 ms is above 2 ms", CoolDown: &CoolDown{Seconds: 20, TimeWait: 12, Limited: true}},
			{Arm: "idle_timeout=0", Block: 2, Dir: "04-idle_timeout-0"},
		},
		Pairs: []Pair{{A: "idle_timeout=0", B: "idle_timeout=3s", Verdict: "It helps.", Tests: []Test{
			{Measure: MeasureFailureRate, Unit: UnitRatio, Method: "Fisher's exact test", Difference: -0.1, Effect: 0.01, EffectName: "odds ratio", P: 1e-9, PAdjusted: 2e-9, Differs: true},
		}}},
		Warnings: []string{"one is odd"}, Verdict: "Set it.",
	}
}

func docs(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../docs/results.md")
	must(t, err)
	return string(text)
}

// section is the text under one heading of docs, up to the next heading.
func section(t *testing.T, docs, heading string) string {
	t.Helper()
	_, text, found := strings.Cut(docs, "\n"+heading+"\n")
	if !found {
		t.Errorf("docs/results.md has no section %q", heading)
	}
	if end := regexp.MustCompile(`(?m)^#`).FindStringIndex(text); end != nil {
		text = text[:end[0]]
	}
	return text
}

var codeSpan = regexp.MustCompile("`([^`]+)`")

// tabled lists the names in the first column of a section's table. A name that begins
// with a dot continues the path of the name before it.
func tabled(section string) []string {
	var names []string
	for line := range strings.Lines(section) {
		cells := strings.Split(line, "|")
		if len(cells) < 3 {
			continue
		}
		last := ""
		for _, span := range codeSpan.FindAllStringSubmatch(cells[1], -1) {
			name := span[1]
			if strings.HasPrefix(name, ".") {
				name = last[:max(strings.LastIndex(last, "."), 0)] + name
			}
			names = append(names, name)
			last = name
		}
	}
	return names
}

// fieldsOf lists the names of typ's fields, with dotted paths for nested fields. It
// leaves out latencies, because the document describes them elsewhere.
func fieldsOf(typ reflect.Type, prefix string) []string {
	var names []string
	for _, f := range reflect.VisibleFields(typ) {
		if f.Anonymous {
			continue // fields of an embedded struct belong to typ
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		name = prefix + name
		part := f.Type
		if part.Kind() == reflect.Slice && part.Elem().Kind() == reflect.Struct {
			part, name = part.Elem(), name+"[]"
		}
		if part.Kind() == reflect.Pointer {
			part = part.Elem()
		}
		if prefix == "agents[]." && slices.Contains(ofARun(), part) {
			names = append(names, name) // its fields are described where the run has them
			continue
		}
		if part.Kind() == reflect.Struct && part != reflect.TypeFor[time.Time]() && part != reflect.TypeFor[Quantiles]() {
			names = append(names, fieldsOf(part, name+".")...)
		} else {
			names = append(names, name)
		}
	}
	return names
}

// ofARun lists the types of a Run's fields that its agents have too.
func ofARun() (types []reflect.Type) {
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Run]()) {
		if f.Type.Kind() == reflect.Struct {
			types = append(types, f.Type)
		}
	}
	return types
}

// describes checks that the table under a heading of docs/results.md has exactly the
// fields of typ.
func describes(t *testing.T, heading string, typ reflect.Type) {
	t.Helper()
	want, got := fieldsOf(typ, ""), tabled(section(t, docs(t), heading))
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/results.md, %s (-fields +documented):\n%s", heading, diff)
	}
}

const ms = time.Millisecond

// done is a successful exchange: due every 2.5 ms, started 50 µs late, with a response
// after 3 ms, on one of ten connections.
func done(seq uint64) *Exchange {
	e := &Exchange{}
	due := time.Duration(seq) * 2500 * time.Microsecond
	e.Reset(seq, due)
	e.Start = due + 50*time.Microsecond
	e.Leased = due + 60*time.Microsecond
	e.WroteHeaders = due + 90*time.Microsecond
	e.Wrote = e.WroteHeaders
	e.FirstByte = due + 2900*time.Microsecond
	e.GotHeaders = due + 2950*time.Microsecond
	e.Done = due + 3*ms
	e.Conn, e.Use = seq%10+1, int(seq/10)+1
	if e.Use > 1 {
		e.Idle, e.Age = 22*ms, 25*ms*time.Duration(e.Use-1)
	}
	e.Attempts, e.Phase, e.Status, e.BytesOut, e.BytesIn = 1, PhaseDone, 200, 120, 340
	return e
}

var errEOF = errors.New(`read tcp 127.0.0.1:40211->127.0.0.1:80: "EOF"`)

// stale is an exchange that met the peer's FIN.
func stale(seq uint64) *Exchange {
	e := done(seq)
	e.FirstByte, e.GotHeaders = Never, Never
	e.Done = e.Due + 5*ms
	e.Use, e.Idle, e.Age = 7, 998*ms, 3*time.Second
	e.Phase, e.Cause, e.Status, e.BytesIn, e.Err = PhaseBeforeResponse, CauseFIN, 0, 0, errEOF
	return e
}

// looked is a stale exchange with TCP_INFO of its connection: the FIN arrived after the
// lease, and segments had been lost on the connection before.
func looked(seq uint64) *Exchange {
	e := stale(seq)
	e.AtLease = &TCPInfo{
		State: "ESTABLISHED", RTT: 10100 * time.Microsecond, RTTVar: 900 * time.Microsecond, TotalRetrans: 2,
		SinceSent: 998 * ms, SinceReceived: 988 * ms, BytesAcked: 721, BytesReceived: 2040,
	}
	e.AtFailure = &TCPInfo{
		State: "CLOSE_WAIT", RTT: 10100 * time.Microsecond, RTTVar: 900 * time.Microsecond, Unacked: 1, Retransmits: 1, TotalRetrans: 3,
		SinceSent: 5 * ms, SinceReceived: 993 * ms, BytesAcked: 721, BytesReceived: 2041,
	}
	return e
}

// resent is a POST exchange that met the peer's RST, and got its response on a fresh
// connection.
func resent(seq uint64) *Exchange {
	e := stale(seq)
	e.Phase, e.Cause, e.Done = PhaseBeforeResponse, CauseRST, e.Due+2050*time.Microsecond
	e.Again()
	e.Twice = true
	e.Leased, e.Connected = e.Due+2060*time.Microsecond, e.Due+2100*time.Microsecond
	e.WroteHeaders = e.Due + 2150*time.Microsecond
	e.Wrote = e.WroteHeaders
	e.FirstByte, e.GotHeaders, e.Done = e.Due+4900*time.Microsecond, e.Due+4950*time.Microsecond, e.Due+5*ms
	e.Conn, e.Use, e.Attempts, e.Phase, e.Status, e.BytesOut, e.BytesIn = 11, 1, 2, PhaseDone, 200, 240, 340
	return e
}

// resentInVain is an exchange whose attempts all failed: two met the peer's FIN, and
// the third got no connection.
func resentInVain(seq uint64) *Exchange {
	e := stale(seq)
	e.Again()
	e.Leased, e.Conn, e.Use, e.Idle = e.Due+5*ms, 4, 2, ms
	e.Phase, e.Cause, e.Done, e.Err = PhaseBeforeResponse, CauseFIN, e.Due+6*ms, errEOF
	e.Again()
	e.Attempts, e.Done, e.Phase, e.Cause, e.Err = 2, e.Due+7*ms, PhaseConnect, CauseRefused, errors.New("connection refused")
	return e
}

// refused is an exchange that got no connection.
func refused(seq uint64) *Exchange {
	e := &Exchange{}
	e.Reset(seq, time.Duration(seq)*2500*time.Microsecond)
	e.Start = e.Due + 100*time.Microsecond
	e.Done = e.Start + 20*time.Microsecond
	e.Phase, e.Cause, e.Err = PhaseAcquire, CauseQueueFull, errors.New("pending queue is full (max 32)")
	return e
}

func dropped(seq uint64) *Exchange {
	e := &Exchange{}
	e.Reset(seq, time.Duration(seq)*2500*time.Microsecond)
	e.Cause = CauseDropped
	return e
}

func aborted(seq uint64) *Exchange {
	e := done(seq)
	e.FirstByte, e.GotHeaders, e.Phase, e.Cause, e.Status, e.BytesIn = Never, Never, PhaseBeforeResponse, CauseAborted, 0, 0
	return e
}

// mixed is the exchanges of a short run: n successful ones, and some of every other
// kind.
func mixed(n int) []*Exchange {
	var list []*Exchange
	for seq := range uint64(n) {
		switch {
		case seq%50 == 49:
			list = append(list, stale(seq))
		case seq%100 == 10:
			list = append(list, dropped(seq))
		case seq%100 == 20:
			list = append(list, refused(seq))
		case seq%100 == 30:
			e := done(seq)
			e.Status = 503
			list = append(list, e)
		default:
			list = append(list, done(seq))
		}
	}
	return list
}

// must fails the test if err is not nil. It is for calls that only fail if the test is
// wrong.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func tallied(list []*Exchange) *Tally {
	t := &Tally{}
	for _, e := range list {
		t.Add(e)
	}
	return t
}

func filled(t *Tally, measured time.Duration) *Run {
	run := &Run{}
	t.Fill(run, measured)
	return run
}
