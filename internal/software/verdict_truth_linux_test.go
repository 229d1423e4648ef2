package software

import (
	"cmp"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/autopsy"
	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// ownRun is a run of kabench, with the failures in its record.
type ownRun struct {
	name, part string // the incident, and "incident" or "remedy-1"
	dir        string
	*results.Run
	profile runProfile
	failed  []attempt
}

// runProfile is what matters here of a run's profile.
type runProfile struct {
	Target struct {
		Lab struct {
			IdleTimeout string `json:"idle_timeout"`
		}
		Proxies []struct{}
	}
	Network struct {
		Links     []struct{ Flows json.RawMessage }
		Balancers []struct{}
	}
}

// attempt is a request on a connection that failed.
type attempt struct {
	from, to time.Time // from its lease to the failure
	how      how
}

// how says in which way a request failed.
type how uint8

const (
	met  how = iota // the peer's close, before the response began
	cut             // the peer's close, in the middle of the response
	quit            // the client gave up
)

// ownRuns reads the runs of a reproduction, in the order in which they were made.
func ownRuns(t *testing.T, dir, name string) (list []*ownRun) {
	t.Helper()
	for _, path := range record.RunsIn(dir) {
		d, err := record.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		run, err := d.Run()
		if err != nil {
			t.Fatal(err)
		}
		one := &ownRun{name: name, part: filepath.Base(path), dir: path, Run: run}
		if err := json.Unmarshal(run.Profile, &one.profile); err != nil {
			t.Fatal(err)
		}
		for e, err := range d.Exchanges() {
			if err != nil {
				t.Fatal(err)
			}
			one.note(e)
		}
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b *ownRun) int { return a.Start.Compare(b.Start) })
	return list
}

// note takes the failed attempts of an exchange.
func (r *ownRun) note(e *results.Exchange) {
	for _, try := range e.Tries {
		r.fail(try.Leased, try.Done, try.Conn, try.Phase, try.Cause)
	}
	if e.BytesOut > 0 { // else it is in no packet: a RST had come before it was written
		r.fail(e.Leased, e.Done, e.Conn, e.Phase, e.Cause)
	}
}

func (r *ownRun) fail(leased, done time.Duration, conn uint64, phase results.Phase, cause results.Cause) {
	if conn == 0 || phase < results.PhaseWriteHeaders || phase == results.PhaseDone {
		return
	}
	one := attempt{from: r.Start.Add(leased), to: r.Start.Add(done)}
	switch cause {
	case results.CauseFIN, results.CauseRST, results.CausePipe, results.CauseCloseNotify, results.CauseTruncated:
		if phase > results.PhaseBeforeResponse {
			one.how = cut
		}
	case results.CauseTimeout:
		one.how = quit
	default:
		return
	}
	r.failed = append(r.failed, one)
}

// score is how a verdict compares with what the run itself counted, by how.
type score struct {
	failed, found [3]int
	invented      []string
}

// lateness is how far the record and a capture may differ in time, on the slowest link.
const lateness = 150 * time.Millisecond

// howOf says in which way a request of a verdict failed.
func howOf(f *autopsy.Failure) how {
	switch {
	case f.Met == evidence.Abandoned || f.Met == evidence.Lost:
		return quit
	case f.First != evidence.NotSeen:
		return cut
	}
	return met
}

// compare compares the requests that a verdict names with those that failed between two
// times. Each failed request is found by one of the verdict's at most. What is left
// over was invented, if no request failed at that time: a capture can show a
// failure twice, before and behind a link.
func (r *ownRun) compare(v *autopsy.Verdict, from, until time.Time) score {
	var s score
	taken := make([]bool, len(r.failed))
	attempts := slices.SortedFunc(slices.Values(r.failed), func(a, b attempt) int { return a.to.Compare(b.to) })
	for _, a := range attempts {
		if !a.from.Before(from) && a.from.Before(until) {
			s.failed[a.how]++
		}
	}
	failures := slices.SortedFunc(slices.Values(v.Failures), func(a, b autopsy.Failure) int { return cmp.Compare(when(&a), when(&b)) })
	for _, f := range failures {
		at := v.Begin.Add(when(&f))
		known := false
		for i, a := range attempts {
			if (a.how == quit) != (howOf(&f) == quit) || at.Before(a.from.Add(-lateness)) || at.After(a.to.Add(lateness)) {
				continue
			}
			known = true
			if taken[i] || a.from.Before(from) || !a.from.Before(until) {
				continue
			}
			taken[i] = true
			s.found[a.how]++
			break
		}
		if !known && howOf(&f) != quit && !strings.Contains(f.Why, mayBeRead) {
			s.invented = append(s.invented, f.Server+": "+f.Met.String()+": "+f.Why)
		}
	}
	return s
}

// mayBeRead marks early responses that a RST followed. Whether the client had read the
// response before the RST came is in no packet: half-close has both kinds of clients.
const mayBeRead = "may not have read the response"

func when(f *autopsy.Failure) time.Duration {
	if f.Begun != evidence.NotSeen {
		return f.Begun
	}
	return max(f.Close.At, 0)
}

// behindProxies is how many requests failed between proxies and servers, which is in no
// record of the client.
func (r *ownRun) behindProxies() int {
	if r.Proxy == nil {
		return 0
	}
	return int(r.Proxy.Stale + r.Proxy.BadGateways + r.Proxy.Silent + r.Proxy.Truncated)
}

// middlebox reports whether a machine between client and server forgets connections.
func (r *ownRun) middlebox() bool {
	n := &r.profile.Network
	return len(n.Balancers) > 0 || len(n.Links) > 0 && len(n.Links[0].Flows) > 0
}

func label(r *ownRun) string {
	return r.name + " " + r.part
}
