package software

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/autopsy"
	"github.com/kabench/kabench/profiles"
)

var (
	verdictSeeds = flag.Int("seeds", 0, "TestVerdicts takes all incidents with this many seeds, and not the short ones with one")
	verdictKept  = flag.String("captures", "", "TestVerdicts keeps its captures in this `DIRECTORY`, and judges again those that are there")
	verdictOnly  = flag.String("incidents", "", "TestVerdicts takes only these incidents, by `NAMES` with commas")
	verdictTable = flag.String("verdicts", "", "TestVerdicts writes its table into `FILE`, between the marks <!-- verdicts --> and <!-- /verdicts -->, or as the whole file if it has none")
	counting     = flag.Bool("referees", true, "TestVerdicts compares its counts with those of tcpdump and tshark, in the captures of the first seed")
	capturing    = flag.Int("captures-at-once", 2, "how many incidents TestVerdicts reproduces at once")
)

// shortOnes are incidents that show what an autopsy must tell apart within some seconds.
var shortOnes = []reproduction{
	{name: "idle-race", sets: []string{"load.duration=4s"}},
	{name: "idle-race", sets: []string{"load.duration=4s", "target.lab.tls=true"}},
	{name: "before-response"}, {name: "during-response"}, {name: "truncated"}, {name: "while-sending-body"},
	{name: "nginx-upstream-ok"}, {name: "direct-idle-order"},
	{name: "lb-rst-unknown-flow", sets: []string{"load.duration=5s", "remedies=null"}}, {name: "idle-race-tls", sets: []string{"remedies=null"}},
}

// overTLS are the incidents on the loopback that are reproduced over TLS as well.
var overTLS = []string{"idle-race", "direct-idle-order", "three-mitigations", "before-response", "during-response", "time-wait-shift"}

// TestVerdicts compares kabench autopsy with what kabench itself has counted. It
// reproduces incidents while tcpdump captures, takes packets.pcapng of those in
// private networks, damages the captures in each way that captures are damaged, and compares
// the requests that the verdicts name with the record of the runs:
//
//   - whole captures: every request that met the peer's close is found, and no other,
//   - damaged ones: 95 % are found,
//   - runs without such a request: none is found,
//   - the interval of the server's idle timeout holds the lab's own one in 95 % of the runs, and
//     is at most 20 ms wide from 20 closes on.
//
// This takes some short incidents. All, with three seeds, and the table of docs/autopsy.md:
//
//	go test ./internal/software -count=1 -timeout 60m -run TestVerdicts -v -args -seeds 3 -verdicts ../../docs/autopsy.md
func TestVerdicts(t *testing.T) {
	tcpdump := needCaptures(t)
	kabench := built(t)
	dir := *verdictKept
	if dir == "" {
		dir = t.TempDir()
	}
	list := reproductions()
	m := &measured{views: map[string]*tallies{}}
	var all sync.WaitGroup
	slots := make(chan struct{}, *capturing)
	if *verdictSeeds == 0 {
		slots = make(chan struct{}, len(list)) // they wait more than they work
	}
	for _, r := range list {
		all.Go(func() {
			slots <- struct{}{}
			err := r.made(kabench, tcpdump, dir)
			<-slots
			if err != nil {
				t.Errorf("%s: %v", r.dir(), err)
			}
		})
	}
	all.Wait()
	slots = make(chan struct{}, runtime.GOMAXPROCS(0))
	for _, r := range list {
		if _, err := os.Stat(filepath.Join(dir, r.dir(), ownResults, "reproduction.json")); err == nil {
			all.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				m.take(t, filepath.Join(dir, r.dir()), r)
			})
		}
	}
	all.Wait()
	m.referees(t, kabench, dir, list)
	m.judge(t)
	text := m.table()
	t.Logf("\n%s", text)
	if *verdictTable != "" {
		writeTable(t, *verdictTable, "verdicts", text)
	}
}

// referees lets tcpdump and tshark count: in all captures of one seed, or in some of the
// short ones.
func (m *measured) referees(t *testing.T, kabench, dir string, list []reproduction) {
	if !*counting {
		return
	}
	for _, r := range list {
		if r.seed > 1 || *verdictSeeds == 0 && r.name != "idle-race" && r.name != "lb-rst-unknown-flow" {
			continue
		}
		files, n := referees(t, kabench, filepath.Join(dir, r.dir()))
		m.files, m.flags.FINs, m.flags.RSTs = m.files+files, m.flags.FINs+n.FINs, m.flags.RSTs+n.RSTs
	}
	if m.flags.FINs == 0 || m.flags.RSTs == 0 {
		t.Errorf("%+v were counted in %d files", m.flags, m.files)
	}
}

func reproductions() (list []reproduction) {
	if *verdictSeeds == 0 {
		for _, r := range shortOnes {
			r.seed = 1
			list = append(list, r)
		}
	}
	for seed := 1; seed <= *verdictSeeds; seed++ {
		for _, e := range profiles.Incidents() {
			list = append(list, reproduction{name: e.Name, seed: seed})
		}
		for _, name := range overTLS {
			list = append(list, reproduction{name: name, sets: []string{"target.lab.tls=true"}, seed: seed})
		}
	}
	return slices.DeleteFunc(list, func(r reproduction) bool {
		return *verdictOnly != "" && !slices.Contains(strings.Split(*verdictOnly, ","), r.name)
	})
}

// view is a way in which a capture is damaged. It may move the beginning, and only requests after
// it count.
type view struct {
	name    string
	whole   bool // nothing is missing that an autopsy needs
	far     bool // what a machine between the ends does to the client is not seen there
	damaged func(list []frame, from *time.Time) []frame
}

func as(change func([]frame) []frame) func([]frame, *time.Time) []frame {
	return func(list []frame, _ *time.Time) []frame { return change(list) }
}

// fromMiddle leaves out the first half.
func fromMiddle(list []frame, from *time.Time) []frame {
	if len(list) == 0 {
		return list
	}
	first := list[0].at
	*from = first.Add(list[len(list)-1].at.Sub(first) / 2)
	return between(list, *from, list[len(list)-1].at.Add(time.Second))
}

func missing(list []frame) []frame { return thinned(list, 10, 1) }
func short(list []frame) []frame   { return cutTo(list, 96) }
func inPlace(side string) func([]frame) []frame {
	return func(list []frame) []frame {
		return only(list, func(f frame) bool { return strings.HasPrefix(f.at0, side) })
	}
}

var (
	lo = []view{
		{name: "tcpdump -i lo, Ethernet", whole: true, damaged: as(func(l []frame) []frame { return l })},
		{name: "with a VLAN tag", whole: true, damaged: as(tagged)},
		{name: "96 bytes of each packet", whole: false, damaged: as(short)},
		{name: "each packet twice", whole: true, damaged: as(twice)},
		{name: "from the middle", whole: false, damaged: fromMiddle},
		{name: "1 % of the packets missing", whole: false, damaged: as(missing)},
		{name: "96 bytes, from the middle, 1 % missing", whole: false, damaged: func(l []frame, from *time.Time) []frame { return missing(short(fromMiddle(l, from))) }},
	}
	any0 = []view{
		{name: "tcpdump -i any, cooked v2", whole: true, damaged: as(func(l []frame) []frame { return l })},
		{name: "cooked v1", whole: true, damaged: as(func(l []frame) []frame { return relinked(l, cooked1) })},
	}
	wire = []view{
		{name: "packets.pcapng, both ends", whole: true, damaged: as(func(l []frame) []frame { return l })},
		{name: "only the client's end", whole: true, damaged: as(inPlace("client"))},
		{name: "only the server's end", whole: true, far: true, damaged: as(func(l []frame) []frame {
			return only(l, func(f frame) bool { return !strings.HasPrefix(f.at0, "client") })
		})},
		{name: "the client's, as Ethernet", whole: true, damaged: as(func(l []frame) []frame { return relinked(inPlace("client")(l), ethernet) })},
		{name: "the client's, 96 bytes", whole: true, damaged: as(func(l []frame) []frame { return short(inPlace("client")(l)) })},
		{name: "the client's, from the middle", whole: false, damaged: func(l []frame, from *time.Time) []frame { return fromMiddle(inPlace("client")(l), from) }},
		{name: "the client's, 1 % missing", whole: false, damaged: as(func(l []frame) []frame { return missing(inPlace("client")(l)) })},
		{name: "both, 1 % missing", whole: false, damaged: as(missing)},
	}
)

// measured gathers what all verdicts showed.
type measured struct {
	mu    sync.Mutex // guards the fields below while captures are judged
	runs  int
	order []view
	views map[string]*tallies
	files int     // in which tcpdump and tshark have counted as kabench does
	flags counted // in these
}

// tallies is what the verdicts of one view showed.
type tallies struct {
	view
	runs            int
	failed, found   [3]int
	controls, wrong int // runs without a race, and those in which one was found
	invented        int
	missed          []string
	timers          []timing
}

// timing is a server's idle timeout: the lab's own, what tcpdump saw, and what a verdict
// says.
type timing struct {
	of                string
	script            time.Duration
	truth             truth
	median, low, high time.Duration
	closes            int
}

// holds reports whether the interval of the verdict holds the median of the whole capture,
// as a reader sees it that shares no code with kabench.
func (t timing) holds(slack time.Duration) bool {
	m := t.truth.median()
	return t.low-slack <= m && m <= t.high+slack
}

// off is how far the verdict is from the lab's setting, whose timers run late.
func (t timing) off() time.Duration { return (t.median - t.script).Abs() }

// enoughCloses is how many closes an interval of 95 % takes.
const enoughCloses = 6

const near = 20 * time.Millisecond

// margin is how long before the start of a run its packets begin: with the connection by
// which kabench checks its target.
const margin = 50 * time.Millisecond

// take judges the captures of a reproduction.
func (m *measured) take(t *testing.T, dir string, r reproduction) {
	runs := ownRuns(t, filepath.Join(dir, ownResults), r.dir())
	for i, run := range runs {
		m.mu.Lock()
		m.runs++
		m.mu.Unlock()
		if run.Packets != nil {
			m.view(t, run, readFrames(t, filepath.Join(run.dir, "packets.pcapng")), wire)
			continue
		}
		end := run.End.Add(2 * time.Second)
		if i+1 < len(runs) && runs[i+1].Start.Before(end) {
			end = runs[i+1].Start.Add(-margin)
		}
		for file, views := range map[string][]view{onLoopback: lo, onAny: any0} {
			all, begin := readFrames(t, filepath.Join(dir, file)), run.Start.Add(-margin)
			m.view(t, run, without(between(all, begin, end), servers(between(all, time.Time{}, begin))), views)
		}
	}
}

func (m *measured) view(t *testing.T, run *ownRun, frames []frame, views []view) {
	whole := wireConns(t, frames)
	for _, one := range views {
		if one.far && run.middlebox() {
			continue
		}
		n := m.of(one)
		from := run.Start.Add(-time.Hour)
		list := one.damaged(slices.Clone(frames), &from)
		if len(list) == 0 {
			continue
		}
		file := filepath.Join(t.TempDir(), "view.pcap")
		writeFrames(t, file, list)
		v, err := autopsy.Examine(autopsy.Options{Files: []string{file}})
		os.Remove(file)
		if err != nil {
			t.Errorf("%s, %s: %v", label(run), one.name, err)
			continue
		}
		until := list[len(list)-1].at
		if one.far {
			until = until.Add(-margin) // what is on the way when the capture ends is not seen there
		}
		s := run.compare(v, from, until)
		m.mu.Lock()
		n.add(run, v, s, slices.DeleteFunc(slices.Clone(whole), func(c *wireConn) bool { return c.closed().Before(from) }))
		m.mu.Unlock()
	}
}

// of returns the tallies of a view.
func (m *measured) of(one view) *tallies {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.views[one.name]
	if n == nil {
		n = &tallies{view: one}
		m.views[one.name] = n
		m.order = append(m.order, one)
	}
	return n
}

func (n *tallies) add(run *ownRun, v *autopsy.Verdict, s score, whole []*wireConn) {
	n.runs++
	for how := range s.failed {
		n.failed[how] += s.failed[how]
		n.found[how] += s.found[how]
		if s.failed[how] != s.found[how] {
			n.missed = append(n.missed, fmt.Sprintf("%s: %d of %d that %s found", label(run), s.found[how], s.failed[how], [...]string{"met a close", "were cut off", "the client gave up"}[how]))
		}
	}
	invented := max(0, len(s.invented)-run.behindProxies())
	n.invented += invented
	if invented > 0 {
		n.missed = append(n.missed, fmt.Sprintf("%s: %d invented, such as %s", label(run), invented, s.invented[0]))
	}
	if len(run.failed) == 0 {
		n.controls++
		if invented > 0 {
			n.wrong++
		}
	}
	n.timer(run, v, whole)
}

// timer notes the idle timeout of the lab's server, where the run has closed idle
// connections by it. A proxy has a timer of its own, so runs with proxies are left out;
// so are runs in which the machine was too busy for the lab's timers.
func (n *tallies) timer(run *ownRun, v *autopsy.Verdict, whole []*wireConn) {
	timeout, err := time.ParseDuration(run.profile.Target.Lab.IdleTimeout)
	if err != nil || run.Lab == nil || run.Lab.ClosedIdle == 0 || run.Lab.LateP99 > near.Seconds() || len(run.profile.Target.Proxies) > 0 {
		return
	}
	for _, s := range v.Servers {
		real, _ := truthOf(whole, s.Address)
		if idle := s.Facts.Idle; idle.Closes >= enoughCloses && idle.By.Server > idle.By.Client && len(real.idle) > 0 {
			n.timers = append(n.timers, timing{label(run) + " " + s.Address, timeout, real, idle.Median, idle.Low, idle.High, idle.Closes})
		}
	}
}

// chance is how many requests may be missed where there are too few for a share: with
// one packet in 100 missing, the only one that shows a failure may be among them.
const chance = 3

// judge compares with what is promised.
func (m *measured) judge(t *testing.T) {
	for _, one := range m.order {
		n := m.views[one.name]
		for _, text := range n.missed {
			t.Logf("%s: %s", one.name, text)
		}
		for _, timer := range n.timers {
			if !timer.holds(0) || timer.wide() || timer.off() > near {
				t.Logf("%s: %s: set to %v; the capture's median is %v of %d; said: %v, between %v and %v, from %d closes", one.name, timer.of,
					timer.script, timer.truth.median(), len(timer.truth.idle), timer.median, timer.low, timer.high, timer.closes)
			}
		}
		switch {
		case one.whole && n.found[met] != n.failed[met]:
			t.Errorf("%s: %d of %d requests were found", one.name, n.found[met], n.failed[met])
		case n.found[met]*100 < n.failed[met]*95 && n.failed[met]-n.found[met] > chance:
			t.Errorf("%s: %d of %d requests were found", one.name, n.found[met], n.failed[met])
		}
		if n.wrong > 0 {
			t.Errorf("%s: in %d of %d runs without a race, one was found", one.name, n.wrong, n.controls)
		}
		if one.whole && n.invented > 0 {
			t.Errorf("%s: %d requests were invented", one.name, n.invented)
		}
		if held, wide, close := n.timing(); held*100 < len(n.timers)*95 || wide > 0 || close*100 < len(n.timers)*95 {
			t.Errorf("%s: of %d intervals %d hold the timeout, %d are too wide, %d are near the setting", one.name, len(n.timers), held, wide, close)
		}
	}
}

func (t timing) wide() bool { return t.closes >= 20 && t.high-t.low > near }

// slack is what is added to an interval where there are too few for a share: one in 20 may
// miss.
func (n *tallies) slack() time.Duration {
	if len(n.timers) < 40 && *verdictSeeds == 0 {
		return 5 * time.Millisecond
	}
	return 0
}

func (n *tallies) timing() (held, wide, close int) {
	for _, timer := range n.timers {
		if timer.holds(n.slack()) {
			held++
		}
		if timer.wide() {
			wide++
		}
		if timer.off() <= near {
			close++
		}
	}
	return held, wide, close
}

func (m *measured) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d runs.", m.runs)
	if *counting {
		fmt.Fprintf(&b, " tcpdump and tshark count %d FINs and %d RSTs in %d captures, as kabench does.", m.flags.FINs, m.flags.RSTs, m.files)
	}
	b.WriteString("\n\n")
	b.WriteString("| capture | runs | requests that met a close, by `run.json` | of these found | cut off, found | client gave up, found | controls, with a finding | intervals that hold the idle timeout | within 20 ms of the setting | widest from 20 closes |\n")
	b.WriteString(strings.Repeat("| --- ", 10) + "|\n")
	for _, one := range m.order {
		n := m.views[one.name]
		held, _, close := n.timing()
		widest := time.Duration(0)
		for _, timer := range n.timers {
			if timer.closes >= 20 {
				widest = max(widest, timer.high-timer.low)
			}
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %d (%s) | %d of %d | %d of %d | %d, %d | %d of %d | %d of %d | %.1f ms |\n", one.name, n.runs, n.failed[met], n.found[met], percent(n.found[met], n.failed[met]),
			n.found[cut], n.failed[cut], n.found[quit], n.failed[quit], n.controls, n.wrong, held, len(n.timers), close, len(n.timers), float64(widest.Microseconds())/1000)
	}
	return b.String()
}

func percent(part, of int) string {
	if of == 0 {
		return "-"
	}
	if part == of {
		return "100 %"
	}
	return fmt.Sprintf("%.1f %%", math.Floor(1000*float64(part)/float64(of))/10)
}
