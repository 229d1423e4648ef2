package record

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/kabench/kabench/results"
)

// cutOff is the directory of a run that was killed after it wrote list in frames of 20
// exchanges. frames has the size of the record after each frame.
func cutOff(t *testing.T, oneIn uint64, list []*results.Exchange) (dir string, frames []int64) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "run")
	synctest.Test(t, func(t *testing.T) { // one frame a second
		w, err := Create(dir)
		must(t, err)
		w.SuccessesOneIn = oneIn
		must(t, w.WriteProfile([]byte("name: idle-race\nquestion: why?\nload:\n  warm_up: 500ms\n")))
		must(t, w.Begin(begun()))
		for i, e := range list {
			w.Observe(e)
			if i%20 == 19 {
				time.Sleep(flushEvery)
				synctest.Wait()
				frames = append(frames, w.exchanges.file.size)
			}
		}
		for i := range 10 {
			s := results.Sample{T: float64(i+1) / 10, Leased: i, Idle: 10 - i, Pending: 2 * i, Opened: uint64(i), CPU: 0.5, Goroutines: 20 + i}
			if i%5 == 0 {
				s.Sockets = &results.SocketSample{Client: map[string]int{"TIME_WAIT": i, "ESTABLISHED": 10}, Server: map[string]int{"TIME_WAIT": 3}, PortsUsed: 30}
			}
			must(t, w.Sample(s))
		}
		w.closeFiles() // and no run.json
	})
	return dir, frames
}

func TestKilledRunIsRebuilt(t *testing.T) {
	list := mixed(1000)
	dir, _ := cutOff(t, 1, list)
	d, err := Open(dir)
	must(t, err)
	run, err := d.Run()
	must(t, err)
	if run.Complete || !run.Valid || run.Name != "idle-race" || run.Host.Kernel != "6.1" || !run.Start.Equal(begun().Start) {
		t.Errorf("document = %+v, want it as begun and not complete", run)
	}
	want := filled(tallied(list), 0)
	if diff := cmp.Diff([]any{want.Counts, want.Statuses, want.Outcomes, want.Latency, want.IdleAtFailure, want.Reuse, want.Attempts},
		[]any{run.Counts, run.Statuses, run.Outcomes, run.Latency, run.IdleAtFailure, run.Reuse, run.Attempts}); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if run.Rate.Offered < 395 || run.Rate.Offered > 405 {
		t.Errorf("offered %v/s, want about 400", run.Rate.Offered)
	}
	if diff := cmp.Diff(results.PoolPeaks{PeakPending: 18, PeakLeased: 9, PeakIdle: 10}, run.Pool); diff != "" {
		t.Errorf("pool (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(results.Sockets{Available: true, TimeWaitPeak: 5, TimeWaitServer: 3, ServerSide: true, EstablishedPeak: 10, PortsUsedPeak: 30},
		run.Sockets); diff != "" {
		t.Errorf("sockets (-want +got):\n%s", diff)
	}
	if run.Connections.Opened != 10 || run.Connections.MaxOpen != 10 {
		t.Errorf("connections = %+v, want ten", run.Connections)
	}
	if end := run.End.Sub(run.Start); end < 2500*ms || end > 2510*ms {
		t.Errorf("ended after %v, want the last exchange's 2.503 s", end)
	}
}

// TestRebuiltRunKeepsWhatWasKnownBefore: the range of ports is known before a run, but
// is not in the samples.
func TestRebuiltRunKeepsWhatWasKnownBefore(t *testing.T) {
	w, dir := create(t)
	run := begun()
	run.Sockets.PortsAvailable = 28232
	must(t, w.Begin(run))
	must(t, w.Sample(results.Sample{T: 1, Sockets: &results.SocketSample{Client: map[string]int{"TIME_WAIT": 3}, PortsUsed: 12}}))
	w.closeFiles() // and no run.json
	d, err := Open(dir)
	must(t, err)
	got, err := d.Run()
	must(t, err)
	if want := (results.Sockets{Available: true, TimeWaitPeak: 3, PortsUsedPeak: 12, PortsAvailable: 28232}); got.Sockets != want {
		t.Errorf("sockets %+v, want %+v", got.Sockets, want)
	}
}

func TestKilledRunWithoutItsBeginning(t *testing.T) {
	dir, _ := cutOff(t, 1, mixed(100))
	d, err := Open(dir)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, fileBegun), []byte("{"), 0o644))
	run, err := d.Run()
	must(t, err)
	if run.Name != "idle-race" || run.Question != "why?" || !bytes.Contains(run.Profile, []byte(`"warm_up"`)) || run.Counts.Due != 100 {
		t.Errorf("document = %+v, want what the profile and the record tell", run)
	}
	must(t, os.Remove(filepath.Join(dir, fileBegun)))
	must(t, os.Remove(filepath.Join(dir, fileProfile)))
	must(t, os.Remove(filepath.Join(dir, fileSamples)))
	run, err = d.Run()
	must(t, err)
	if run.Counts.Due != 100 || !strings.Contains(strings.Join(run.Warnings, "\n"), "the profile is not known") {
		t.Errorf("document = %+v, want the record's counts and a warning", run)
	}
}

func TestKilledRunWithSampledSuccesses(t *testing.T) {
	list := mixed(20000)
	dir, _ := cutOff(t, 10, list)
	d, err := Open(dir)
	must(t, err)
	run, err := d.Run()
	must(t, err)
	exact := tallied(list).Counts()
	if run.Counts.Failed != exact.Failed || run.Counts.Dropped != exact.Dropped {
		t.Errorf("counts = %+v, want every failure and drop of %+v", run.Counts, exact)
	}
	if got := float64(run.Counts.OK) / float64(exact.OK); got < 0.85 || got > 1.15 {
		t.Errorf("ok = %d, want an estimate of %d", run.Counts.OK, exact.OK)
	}
	if !run.Counts.Balance() || !strings.Contains(strings.Join(run.Warnings, "\n"), "estimates: one in 10") {
		t.Errorf("balance %v, warnings %q", run.Counts.Balance(), run.Warnings)
	}
}

func TestKilledRunThatLagged(t *testing.T) {
	var list []*results.Exchange
	for seq := range uint64(100) {
		e := done(seq)
		e.Start += 80 * ms
		e.Done += 80 * ms
		list = append(list, e)
	}
	dir, _ := cutOff(t, 1, list)
	d, err := Open(dir)
	must(t, err)
	run, err := d.Run()
	must(t, err)
	if run.Valid || len(run.Invalid) != 1 || !strings.Contains(run.Invalid[0], "1 % of requests started at least 80.0 ms late") {
		t.Errorf("valid %v, %q, want it invalid for its lag", run.Valid, run.Invalid)
	}
}

// TestCutAtEveryByte cuts the record as SIGKILL may: anywhere in the last
// frame. All frames before it must be readable, and the error must not report damage.
func TestCutAtEveryByte(t *testing.T) {
	dir, frames := cutOff(t, 1, mixed(60))
	path := filepath.Join(dir, fileExchanges)
	whole, err := os.ReadFile(path)
	must(t, err)
	if int64(len(whole)) != frames[2] {
		t.Fatalf("the record has %d bytes, want the %d of three frames", len(whole), frames[2])
	}
	for size := frames[1]; size <= frames[2]; size++ {
		read := 0
		var end error
		for _, err := range readExchanges(bytes.NewReader(whole[:size])) {
			if err != nil {
				end = err
				break
			}
			read++
		}
		clean := size == frames[1] || size == frames[2]
		switch {
		case clean && end != nil:
			t.Errorf("cut at %d, between frames: %v", size, end)
		case !clean && !errors.Is(end, ErrTorn):
			t.Errorf("cut at %d: the end is %v, want %v", size, end, ErrTorn)
		case read < 40, size == frames[2] && read != 60:
			t.Errorf("cut at %d: %d exchanges", size, read)
		}
	}
	must(t, os.Truncate(path, frames[2]-3))
	d, err := Open(dir)
	must(t, err)
	run, err := d.Run()
	must(t, err)
	if run.Counts.Due < 40 || !strings.Contains(strings.Join(run.Warnings, "\n"), "the end of exchanges.ndjson.zst was not written whole") {
		t.Errorf("due %d, warnings %q", run.Counts.Due, run.Warnings)
	}
}

// TestDamageIsNotACut flips each byte of the second of three frames, one at a
// time. The first frame must be readable, and no exchange of the second may be
// accepted. Damage may only look like a cut if the byte is part of a length.
func TestDamageIsNotACut(t *testing.T) {
	dir, frames := cutOff(t, 1, mixed(60))
	whole, err := os.ReadFile(filepath.Join(dir, fileExchanges))
	must(t, err)
	torn := 0
	for at := frames[0]; at < frames[1]; at++ {
		bad := bytes.Clone(whole)
		bad[at] ^= 0xff
		read := map[uint64]results.Exchange{}
		var end error
		for e, err := range readExchanges(bytes.NewReader(bad)) {
			if err != nil {
				end = err
				break
			}
			read[e.Seq] = *e
		}
		if end == nil || len(read) < 20 {
			t.Errorf("byte %d: %d exchanges, then %v; want the first frame, then an error", at, len(read), end)
		}
		if errors.Is(end, ErrTorn) {
			torn++
		}
	}
	// The frame's header, and the three bytes before its only block.
	if torn > zstd.HeaderMaxSize {
		t.Errorf("%d of %d damaged bytes passed for a cut", torn, frames[1]-frames[0])
	}
}

func TestTornSample(t *testing.T) {
	dir, _ := cutOff(t, 1, mixed(100))
	path := filepath.Join(dir, fileSamples)
	info, err := os.Stat(path)
	must(t, err)
	must(t, os.Truncate(path, info.Size()-5))
	d, err := Open(dir)
	must(t, err)
	run, err := d.Run()
	must(t, err)
	if run.Pool.PeakLeased != 8 || !strings.Contains(strings.Join(run.Warnings, "\n"), "9 samples could be read") {
		t.Errorf("peak leased %d, warnings %q", run.Pool.PeakLeased, run.Warnings)
	}
}

func TestOpenRefuses(t *testing.T) {
	base := t.TempDir()
	must(t, os.WriteFile(filepath.Join(base, "file"), nil, 0o644))
	must(t, os.Mkdir(filepath.Join(base, "other"), 0o755))
	for name, say := range map[string]string{
		"missing": "there is no such directory", "file": "not a directory", "other": "not a run directory",
	} {
		if _, err := Open(filepath.Join(base, name)); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%s: %v, want %q", name, err, say)
		}
	}
}

func TestRunDocumentRefused(t *testing.T) {
	for _, tt := range []struct{ name, text, say string }{
		{"newer", `{"schema":"kabench.run/v2","counts":[]}`, "made by a newer kabench; this one reads kabench.run/v1"},
		{"other", `{"schema":"something/v1"}`, `its schema is "something/v1"`},
		{"none", `{}`, "not a run document"},
		{"cut", `{"schema":"kabench.run/v1",`, "not valid JSON"},
		{"empty", ``, "not valid JSON"},
		{"type", `{"schema":"kabench.run/v1","counts":7}`, "not a valid run document"},
		{"phase", `{"schema":"kabench.run/v1","outcomes":[{"phase":"lunch"}]}`, `phase "lunch" is none of`},
	} {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, fileRun), []byte(tt.text), 0o644))
		d, err := Open(dir)
		must(t, err)
		if _, err := d.Run(); err == nil || !strings.Contains(err.Error(), tt.say) || !strings.Contains(err.Error(), fileRun) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.say)
		}
	}
}

func TestNewerSchemaIsAnErrorValue(t *testing.T) {
	if _, err := DecodeRun([]byte(`{"schema":"kabench.run/v12"}`)); !errors.Is(err, ErrNewerSchema) {
		t.Errorf("%v, want %v", err, ErrNewerSchema)
	}
}

func FuzzExchangeLine(f *testing.F) {
	for _, e := range []*results.Exchange{done(3), stale(4), refused(5), dropped(6), aborted(7), resent(8), resentInVain(9), looked(10)} {
		f.Add(appendLine(nil, e))
	}
	early := done(8) // got its response before the request was completely written
	early.Wrote = early.GotHeaders
	f.Add(appendLine(nil, early))
	f.Add([]byte(`{"phase":"done","stamps":[-1,null,null,null,null,null,null]}`))
	f.Add([]byte(`{"phase":"done","due":7,"dial":[1,-1,9223372036854775807],"born":8}`))
	f.Add([]byte(`{"phase":"done","due":9223372036854775807}`))
	f.Add([]byte(`{"phase":"during_response","cause":"truncated","error":"\u0000\ud800\"\\"}`))
	f.Add([]byte(`{"phase":"done","tries":[],"twice":true}`))
	f.Add([]byte(`{"phase":"done","tries":[{"phase":"tls","done":-1}]}`))
	f.Add([]byte(`{"phase":"done","tries":[{"phase":"acquire","use":1},null]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var e, again results.Exchange
		if readLine(text, &e) != nil {
			return
		}
		written := appendLine(nil, &e)
		if err := readLine(written, &again); err != nil {
			t.Fatalf("%s: %v", written, err)
		}
		// The text of an error is cut when it is written.
		e.Err, again.Err = nil, nil
		if diff := cmp.Diff(e, again); diff != "" {
			t.Errorf("(-first +second):\n%s", diff)
		}
		tallied([]*results.Exchange{&e})
	})
}

func FuzzRecord(f *testing.F) {
	var lines []byte
	for _, e := range mixed(50) {
		lines = appendLine(lines, e)
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	must(f, err)
	frame := enc.EncodeAll(lines, nil)
	f.Add(frame)
	f.Add(append(bytes.Clone(frame), frame[:len(frame)/2]...))
	f.Add(enc.EncodeAll(bytes.Repeat([]byte("x"), maxLine+1), nil))
	f.Add([]byte{})
	f.Add([]byte("not zstd"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for e, err := range readExchanges(bytes.NewReader(data)) {
			if (e == nil) == (err == nil) {
				t.Fatalf("yielded %v and %v", e, err)
			}
		}
	})
}

// A run that was killed between Create and Begin takes its start from the times of its
// files, and is not valid.
func TestKilledBeforeTheFirstRequest(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	before := time.Now().Add(-time.Minute)
	w, err := Create(dir)
	must(t, err)
	must(t, w.WriteProfile([]byte("name: idle-race\n")))
	w.closeFiles() // and no begun.json
	d, err := Open(dir)
	must(t, err)
	run, err := d.Run()
	must(t, err)
	if run.Valid || len(run.Invalid) == 0 || run.Start.Before(before) || run.End.Before(run.Start) {
		t.Errorf("valid %v (%q), from %v to %v", run.Valid, run.Invalid, run.Start, run.End)
	}
}
