package external

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/dialers"
)

func TestDispatchFrame(t *testing.T) {
	p := dialers.Parts{Method: "POST", URL: "http://h/?a=1&b=\"", Header: [][2]string{{"A", `"\`}, {"B", "é"}}, Body: 12}
	for _, seq := range []uint64{0, 7, 10, 99, 1234567, warmUpSeqs, math.MaxUint64} {
		d := newDispatch(p)
		line := d.appendTo(nil, seq)
		if !bytes.HasSuffix(line, []byte("\n")) || bytes.Count(line, []byte("\n")) != 1 {
			t.Fatalf("%q", line)
		}
		var got struct {
			Type, Method, URL string
			Seq               uint64
			Headers           [][2]string
			Body              int
		}
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		want := append([][2]string{{dialers.RequestID, dialers.IDOf(seq)}}, p.Header...)
		if got.Type != "dispatch" || got.Seq != seq || got.Method != p.Method || got.URL != p.URL || got.Body != 12 || !reflect.DeepEqual(got.Headers, want) {
			t.Errorf("%+v", got)
		}
	}
}

func TestConfigFrame(t *testing.T) {
	b, err := encodeConfig(Config{Settings: map[string]any{"a": 1500 * time.Microsecond, "b": nil, "c": "x", "d": 3}, Timeout: 10 * time.Second, Gauges: 100 * time.Millisecond})
	want := `{"type":"config","settings":{"a":1.5,"b":null,"c":"x","d":3},"timeout":10000,"insecure":false,"gauges":100}` + "\n"
	if err != nil || string(b) != want {
		t.Errorf("%s, %v", b, err)
	}
	if b, _ := encodeConfig(Config{}); !strings.Contains(string(b), `"timeout":null`) || !strings.Contains(string(b), `"settings":{}`) {
		t.Errorf("%s", b)
	}
}

func TestErrorText(t *testing.T) {
	e := &Error{Class: "A", Text: "a", Causes: []Cause{{"B", "b"}, {"C", "c"}}}
	if e.Error() != "A: a; caused by C: c" {
		t.Error(e)
	}
	if e := (&Error{Class: "A", Causes: []Cause{{"A", ""}}}); e.Error() != "A" {
		t.Error(e)
	}
}

// Lines come as they were written, whatever the reader's buffer; a line without end does
// not fill the memory.
func TestReadLine(t *testing.T) {
	long := strings.Repeat("y", 100_000)
	r := bufio.NewReaderSize(strings.NewReader("a\r\n\n"+long+"\nlast"), 64)
	var room, line []byte
	var err error
	for _, want := range []string{"a", "", long} {
		if line, room, err = readLine(r, room); err != nil || string(line) != want {
			t.Fatalf("%.20q, %v", line, err)
		}
	}
	if _, _, err = readLine(r, room); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	endless := bufio.NewReaderSize(io.LimitReader(forever{}, 1<<30), 64<<10)
	if _, room, err = readLine(endless, nil); !errors.Is(err, errTooLong) || cap(room) > 4*maxLine {
		t.Error(err, cap(room))
	}
}

type forever struct{}

func (forever) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func FuzzReadLine(f *testing.F) {
	f.Add([]byte("a\nb\r\n\n"), 16)
	f.Add([]byte(`{"type":"done","seq":1,"received":1,"called":2,"finished":3,"status":200,"bytes":1}`+"\n"), 64)
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		r := bufio.NewReaderSize(bytes.NewReader(data), min(max(size, 16), 4096))
		var lines [][]byte
		var room, line []byte
		var err error
		for {
			if line, room, err = readLine(r, room); err != nil {
				break
			}
			lines = append(lines, bytes.Clone(line))
		}
		if !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		want := bytes.Split(data, []byte("\n"))
		want = want[:len(want)-1]
		if len(lines) != len(want) {
			t.Fatalf("%d lines, want %d", len(lines), len(want))
		}
		for i := range want {
			if !bytes.Equal(lines[i], bytes.TrimSuffix(want[i], []byte("\r"))) {
				t.Errorf("line %d: %q, want %q", i, lines[i], want[i])
			}
		}
	})
}

func FuzzParseFrame(f *testing.F) {
	for _, seed := range []string{
		`{"type":"hello","protocol":1,"settings":[{"name":"a","kind":"duration","default":null}],"gauges":["x"]}`,
		`{"type":"done","seq":1,"received":1,"called":2,"finished":3,"status":200,"bytes":1}`,
		`{"type":"done","seq":1,"error":{"class":"a","text":"b","causes":[{"class":"c","text":"d"}]}}`,
		`{"type":"gauges","at":1,"values":{"a":1}}`, `{"type":"refused","setting":"a","text":"b"}`, `{"type":"clock","now":1}`, `[]`, `{}`, `null`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		got, err := parseFrame(line)
		if err == nil && got.Type == "" {
			t.Error("a frame without a type")
		}
		if got.Error != nil {
			if len(got.Error.Causes) > maxCauses {
				t.Error("too many causes")
			}
			_ = explained("reactor-netty", got.Error)
		}
		_ = got.complete()
		_ = got.Hello.check()
	})
}

func TestClock(t *testing.T) {
	var c clock
	const ms = time.Millisecond
	// The driver's clock is 1 s ahead of ours.
	ahead := func(ours time.Duration) int64 { return int64(ours + time.Second) }
	if !c.add(10*ms, 14*ms, ahead(12*ms)) || !c.add(20*ms, 21*ms, ahead(20*ms)) {
		t.Error("it jumped")
	}
	at, wrong := c.ours(ahead(50 * ms))
	if at < 49*ms || at > 51*ms || wrong < 500*time.Microsecond || wrong > 600*time.Microsecond {
		t.Error(at, wrong)
	}
	if at-wrong > 50*ms || at+wrong < 50*ms {
		t.Error("the truth is outside", at, wrong)
	}
	if c.add(30*ms, 31*ms, ahead(90*ms)) {
		t.Error("a jump was not noticed")
	}
}

// Texts that differ in numbers, or in which object they name, are one kind of error.
func TestMasked(t *testing.T) {
	one := &Error{Class: "java.io.EOFException", Text: "HttpConnectionOverHTTP@5c1e4f::SocketChannelEndPoint@77ab{l=/127.0.0.1:40312,r=/127.0.0.1:80,OPEN}"}
	two := &Error{Class: "java.io.EOFException", Text: "HttpConnectionOverHTTP@e0b::SocketChannelEndPoint@3{l=/127.0.0.1:9,r=/127.0.0.1:80,OPEN}"}
	if masked(one) != masked(two) {
		t.Errorf("%s\n%s", masked(one), masked(two))
	}
	for _, other := range []string{"a@face closed", "a@f failed"} {
		if e := (&Error{Text: "a@face failed"}); (masked(e) == masked(&Error{Text: other})) != strings.HasSuffix(other, "failed") {
			t.Error(other)
		}
	}
}

func TestBudget(t *testing.T) {
	b := budget{perSecond: 10, most: 5}
	taken := 0
	for range 20 {
		if b.take(3) {
			taken++
		}
	}
	if taken != 5 || !b.take(3.1) || b.take(3.1) || b.take(2) {
		t.Error(taken)
	}
}

func TestNumbers(t *testing.T) {
	var n numbers
	for _, seq := range []uint64{0, 1, 3, 4, blockSize - 1, blockSize, 1 << 60} {
		if n.of(seq) != numberUnsent {
			t.Error(seq)
		}
		for _, s := range []numberState{numberSent, numberGivenUp, numberAnswered} {
			n.set(seq, s)
			if n.of(seq) != s {
				t.Error(seq, s)
			}
		}
		if n.of(seq+1) != numberUnsent {
			t.Error(seq + 1)
		}
	}
}

func BenchmarkDispatchFrame(b *testing.B) {
	d := newDispatch(dialers.Parts{Method: "GET", URL: "http://127.0.0.1:8080/x", Header: [][2]string{{"Accept", "*/*"}}})
	var buf []byte
	b.ReportAllocs()
	for i := range b.N {
		buf = d.appendTo(buf[:0], uint64(i))
	}
}

func BenchmarkParseDone(b *testing.B) {
	line := []byte(`{"type":"done","seq":123456,"received":1234567890123,"called":1234567890124,"finished":1234567890125,"status":200,"bytes":1234,"error":null}`)
	b.ReportAllocs()
	for range b.N {
		if _, err := parseFrame(line); err != nil {
			b.Fatal(err)
		}
	}
}

// Runs that number from different places have no X-Request-Id in common, and the
// driver's own number stays the exchange's.
func TestFirstID(t *testing.T) {
	d := newDispatch(dialers.Parts{Method: "GET", URL: "http://a/"})
	d.from = 7_000_000_000_000
	for seq, id := range map[uint64]string{0: "00000007000000000000", 12: "00000007000000000012"} {
		line := string(d.appendTo(nil, seq))
		if !strings.Contains(line, fmt.Sprintf(`"seq":%d,`, seq)) || !strings.Contains(line, `["`+dialers.RequestID+`","`+id+`"]`) {
			t.Errorf("%d: %s", seq, line)
		}
	}
}
