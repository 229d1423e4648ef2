package catalogue

import (
	"flag"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/internal/sandbox"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// inCI is how many incidents may stay unjudged there. On a user's machine it is no
// failure that other programs are busy.
const inCI = 3

// atOnce is how many incidents run side by side, unless -parallel says otherwise. They
// wait for timers most of the time and use a tenth of a core each.
var atOnce = 5

// unjudged counts the incidents that this machine was too busy to judge.
var unjudged atomic.Int32

// The test binary is the child that runs in a network of its own, too.
func TestMain(m *testing.M) {
	kabench.ExitIfChild()
	flag.Parse()
	flag.Visit(func(f *flag.Flag) {
		if f.Name == "test.parallel" {
			atOnce = f.Value.(flag.Getter).Get().(int)
		}
	})
	code := m.Run()
	if n := unjudged.Load(); n > 0 {
		fmt.Printf("%d incidents were not judged: this machine was too busy\n", n)
		if n > inCI && os.Getenv("CI") != "" && code == 0 {
			fmt.Printf("in CI at most %d may be\n", inCI)
			code = 1
		}
	}
	os.Exit(code)
}

// needSandbox skips a test where there can be no private network; in CI there
// must be one.
func needSandbox(t *testing.T) {
	t.Helper()
	if err := sandbox.Available(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

// incident is the incident of that name with those settings.
func incident(t *testing.T, name string, sets ...string) *profiles.Profile {
	t.Helper()
	found, ok := profiles.Find(name)
	if !ok {
		t.Fatal(profiles.NotFound(name))
	}
	p, err := profiles.Load(name, []byte(found.Text), sets)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// places are those of the incidents that run side by side.
type places struct {
	free   chan struct{}
	beside sync.WaitGroup // incidents that have run beside others, or will
	alone  sync.Mutex     // held by the incident that runs alone
}

// place is that of one incident: beside others, until it asks to be alone.
type place struct {
	*places
	isAlone bool
}

// moveOut waits until no incident runs beside others any more, and then for its turn to run
// alone. Until then, others have its place: so an incident that the machine has disturbed
// holds nobody up.
func (p *place) moveOut() {
	if p.isAlone {
		return
	}
	p.leave()
	p.beside.Wait()
	p.alone.Lock()
	p.isAlone = true
}

// leave ends the place of an incident.
func (p *place) leave() {
	if p.isAlone {
		p.alone.Unlock()
		return
	}
	p.beside.Done()
	<-p.free
}

// judged returns a reproduction of p whose runs are all valid. An invalid run says
// nothing: it is made again, as by the command, while the test has time, and with no
// other incident beside it. If the machine stays too busy, the test is skipped and
// counted.
func judged(t *testing.T, p *profiles.Profile, here *place) *results.Reproduction {
	t.Helper()
	skipWithoutTime(t, p, "")
	rep, err := kabench.Reproduce(t.Context(), p, kabench.ReproduceOptions{Again: func(a results.MadeAgain) {
		t.Logf("made again: %s: %q", a.Run, a.Invalid)
		here.moveOut()
		skipWithoutTime(t, p, fmt.Sprintf("; the last try of %s: %q", a.Run, a.Invalid))
	}})
	if err != nil {
		t.Fatal(err)
	}
	if !allValid(rep) {
		unjudged.Add(1)
		t.Skipf("not judged: this machine was too busy; the last try: %s", rep.Verdict)
	}
	return rep
}

// skipWithoutTime skips the test if it has no time left to reproduce p.
func skipWithoutTime(t *testing.T, p *profiles.Profile, last string) {
	t.Helper()
	if !timeFor(t, p) {
		unjudged.Add(1)
		t.Skipf("not judged: the time of the tests is nearly over%s", last)
	}
}

// timeFor reports whether the tests have time left for another reproduction of p.
func timeFor(t *testing.T, p *profiles.Profile) bool {
	end, limited := t.Deadline()
	const margin = 20 * time.Second // to start, to end, and for the next test to see that it has none
	return !limited || time.Until(end) > p.Takes()*5/4+margin
}

func allValid(rep *results.Reproduction) bool {
	valid := rep.IncidentRun.Valid
	for _, r := range rep.RemedyRuns {
		valid = valid && r.Run.Valid
	}
	return valid
}
