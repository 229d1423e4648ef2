package lab

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/kabench/kabench/internal/lab/labtest"
	"github.com/kabench/kabench/profiles/script"
)

// A request that is read whole is executed, answered or not; one that is cut
// short is not.
func TestExecutions(t *testing.T) {
	named := func(method, id, more string) string {
		return fmt.Sprintf("%s /buy HTTP/1.1\r\nHost: lab\r\nX-Request-Id: %s\r\n%s\r\n", method, id, more)
	}
	s := start(t, script.Server{Fault: script.CloseBeforeResponse, FaultOn: script.OnReused})
	one := labtest.Dial(t, s.Addr())
	one.Send(named("POST", "a", "Content-Length: 1\r\n") + "x")
	one.Response()
	one.Send(named("POST", "b", "Content-Length: 1\r\n") + "x") // executed, and never answered
	one.Rest()
	two := labtest.Dial(t, s.Addr())
	two.Send(named("POST", "b", "Content-Length: 1\r\n") + "x")
	two.Response()
	two.Send(named("POST", "c", "Content-Length: 1000\r\n") + "x") // never whole
	two.Close()
	finished(t, s, 1)
	want := []Execution{
		{"POST", "/buy", "a", 1, 1},
		{"POST", "/buy", "b", 2, 2},
		{"POST", "/buy", "c", 1, 0},
	}
	if diff := cmp.Diff(want, s.Executions()); diff != "" {
		t.Error(diff)
	}
	if seen := s.Seen(); seen.Requests != 4 || seen.Executed != 3 || seen.Duplicates != 1 {
		t.Errorf("%+v", seen)
	}
}

// Without ids requests of a method and target count together and are no
// duplicates.
func TestExecutionsWithoutID(t *testing.T) {
	s := start(t, script.Server{})
	c := labtest.Dial(t, s.Addr())
	c.Send(strings.Repeat(get, 3) + "HEAD /x HTTP/1.1\r\nHost: lab\r\n\r\n")
	c.CloseWrite()
	c.Rest()
	want := []Execution{{"GET", "/", "", 3, 3}, {"HEAD", "/x", "", 1, 1}}
	if diff := cmp.Diff(want, s.Executions()); diff != "" {
		t.Error(diff)
	}
	if seen := s.Seen(); seen.Duplicates != 0 {
		t.Errorf("%+v", seen)
	}
}

func TestTallyIsBounded(t *testing.T) {
	const most = 100
	tl := tally{most: most}
	for i := range most + 10 {
		r := request{"GET", "/", fmt.Sprint(i)}
		tl.received(r)
		tl.execute(r)
	}
	tl.execute(request{"GET", "/", "0"})
	if len(tl.executions()) != most || tl.executed != most+11 || tl.duplicates != 1 {
		t.Errorf("%d told, %d executed, %d duplicates", len(tl.executions()), tl.executed, tl.duplicates)
	}
}

func TestRecordHeaders(t *testing.T) {
	const request = "POST / HTTP/1.1\r\nHost: lab\r\nConnection: x-secret, te\r\nX-Secret: 1\r\nTE: trailers\r\n" +
		"Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n0\r\n\r\n"
	for _, record := range []bool{false, true} {
		s := start(t, script.Server{RecordHeaders: record})
		c := labtest.Dial(t, s.Addr())
		c.Send(request)
		c.Response()
		h := s.Stories()[0].Exchanges[0].Header
		if !record {
			if h != nil || s.Headers() != nil {
				t.Errorf("recorded unasked: %v, %v", h, s.Headers())
			}
			continue
		}
		for name, want := range map[string]string{"Host": "lab", "Connection": "x-secret, te", "X-Secret": "1",
			"Te": "trailers", "Transfer-Encoding": "chunked", "Trailer": "X-Sum"} {
			if got := h.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
			if n := s.Headers()[name]; n != 1 {
				t.Errorf("%d requests with %s", n, name)
			}
		}
	}
}
