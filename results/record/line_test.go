package record

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kabench/kabench/results"
)

// A line keeps every stamp of a new TLS connection, and of a response that arrived
// before the request was completely written.
func TestLineKeepsEveryStamp(t *testing.T) {
	e := done(4900)
	e.Resolved, e.Connected, e.Secured = e.Leased+7*time.Microsecond, e.Leased+9*time.Microsecond, e.Leased+20*time.Microsecond
	e.Wrote = e.GotHeaders + 5*time.Microsecond
	text := appendLine(nil, e)
	if want := `"stamps":[50,10,10,2865,-55,50,50],"dial":[7,2,11]`; !bytes.Contains(text, []byte(want)) {
		t.Errorf("%s has no %s", text, want)
	}
	var got results.Exchange
	must(t, readLine(text, &got))
	if diff := cmp.Diff(*e, got); diff != "" {
		t.Errorf("(-written +read):\n%s", diff)
	}
}

// The record has the time at which a connection was established instead of its age. In
// whole µs this time is the same for all exchanges of the connection, although their
// own times have fractions.
func TestBornIsTheSameForAllExchangesOfAConnection(t *testing.T) {
	const born = 3*time.Second + 1234567*time.Nanosecond
	random := rand.New(rand.NewPCG(1, 2))
	for seq := range uint64(1000) {
		e := done(5000 + seq)
		e.Leased += time.Duration(random.Int64N(1000))
		e.Use, e.Age = 7, e.Leased-born
		text := appendLine(nil, e)
		if !bytes.Contains(text, []byte(`"born":3001235,`)) {
			t.Fatalf("%s", text)
		}
		var got results.Exchange
		must(t, readLine(text, &got))
		if off := (got.Age - e.Age).Abs(); off > time.Microsecond {
			t.Errorf("the age is off by %v", off)
		}
	}
}

func TestBadStamps(t *testing.T) {
	for text, say := range map[string]string{
		`"stamps":[1,2]`: "stamps: 2 numbers",
		`"dial":[1]`:     "dial: 1 numbers",
		`"stamps":[-1,null,null,null,null,null,null]`:                  "-1 is out of range",
		`"stamps":[5,null,null,null,null,null,-6]`:                     "-6 is out of range",
		`"stamps":[9223372036854775807,null,null,null,null,null,null]`: "out of range",
		`"dial":[-9223372036854775808,null,null]`:                      "out of range",
		`"born":-9223372036854775808`:                                  "born: -9223372036854775808 is out of range",
		`"stamps":{}`:                                                  "cannot unmarshal",
	} {
		var e results.Exchange
		err := readLine([]byte(`{"phase":"done",`+text+`}`), &e)
		if err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%s: %v, want %q", text, err, say)
		}
	}
}

// busy is n exchanges like those of a run at 10,000/s: Poisson arrivals, 64
// connections (the one used last is leased first), and times that vary as on a machine
// with other work. A fixed seed makes them the same every time.
func busy(n int) []*results.Exchange {
	random := rand.New(rand.NewPCG(1, 2))
	scatter := func(least, mean float64) time.Duration { // an exponential tail above what it takes at least
		return time.Duration((least + random.ExpFloat64()*mean) * float64(time.Microsecond))
	}
	type conn struct {
		born, free time.Duration
		use        int
	}
	var conns []conn
	var list []*results.Exchange
	due := time.Duration(0)
	for seq := range uint64(n) {
		due += scatter(0, 100)
		e := &results.Exchange{}
		e.Reset(seq, due)
		e.Start = due + scatter(5, 60)
		e.Leased = e.Start + scatter(1, 3)
		last := -1
		for i := range conns {
			if c := &conns[i]; c.free <= e.Leased && (last < 0 || c.free > conns[last].free) {
				last = i
			}
		}
		at := e.Leased
		switch {
		case last >= 0:
			e.Idle, e.Age = e.Leased-conns[last].free, e.Leased-conns[last].born
		case len(conns) < 64:
			e.Connected = at + scatter(40, 20)
			at = e.Connected
			conns = append(conns, conn{born: at})
			last = len(conns) - 1
		default:
			last = 0 // as if it had just come free
			e.Age = e.Leased - conns[0].born
		}
		c := &conns[last]
		c.use++
		e.Conn, e.Use = uint64(last+1), c.use
		e.WroteHeaders = at + scatter(8, 10)
		e.Wrote = e.WroteHeaders
		e.FirstByte = e.Wrote + scatter(60, 200)
		e.GotHeaders = e.FirstByte + scatter(0, 1)
		e.Done = e.GotHeaders + scatter(1, 2)
		c.free = e.Done + scatter(1, 2)
		e.Attempts, e.Phase, e.Status, e.BytesOut, e.BytesIn = 1, results.PhaseDone, 200, 62, 184
		list = append(list, e)
	}
	return list
}

// tick does what the flusher, which is not begun, does by the clock: as if 10,000
// exchanges were observed in a second, n of them so far.
func (w *Writer) tick(n int) {
	switch {
	case n%10_000 == 0:
		w.exchanges.flush()
	case n%1000 == 0:
		w.exchanges.collect()
	}
}

// An exchange takes fewer than 25 bytes of the disk.
func TestRecordIsSmall(t *testing.T) {
	w, dir := create(t)
	list := busy(30_000)
	for i, e := range list {
		w.Observe(e)
		w.tick(i + 1)
	}
	each := float64(w.exchanges.file.size) / float64(len(list))
	t.Logf("%.2f bytes per exchange", each)
	if each >= 25 {
		t.Errorf("%.2f bytes per exchange", each)
	}
	run := begun()
	must(t, w.Close(run))
	if n := len(read(t, dir)); n != len(list) || run.Recording.Lost > 0 {
		t.Errorf("%d of %d exchanges can be read: %+v", n, len(list), run.Recording)
	}
}
