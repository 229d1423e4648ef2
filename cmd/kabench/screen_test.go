package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/collectors"
	"github.com/kabench/kabench/results"
)

// glass is a terminal of so many columns, and of so many rows if it has a last one,
// that knows what screen uses: CR, LF, cursor up and erase to the end of a row. As
// tmux does it keeps what it scrolls, and a screen that is erased from its first
// character on.
type glass struct {
	mu       sync.Mutex
	columns  int
	height   int // 0: without a last row
	rows     [][]rune
	row, col int
	history  []string
}

var escape = regexp.MustCompile(`^\x1b\[([0-9]*)([A-Za-z])`)

func (g *glass) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for text := string(p); text != ""; {
		if m := escape.FindStringSubmatch(text); m != nil {
			n, _ := strconv.Atoi(m[1])
			switch m[2] {
			case "A":
				g.row = max(0, g.row-n)
			case "K":
				g.line()
				g.rows[g.row] = g.rows[g.row][:min(g.col, len(g.rows[g.row]))]
			case "J":
				g.line()
				for i := 0; g.row == 0 && g.col == 0 && i < len(g.rows); i++ {
					g.history = append(g.history, string(g.rows[i]))
				}
				g.rows[g.row] = g.rows[g.row][:min(g.col, len(g.rows[g.row]))]
				g.rows = g.rows[:g.row+1]
			default:
				return 0, fmt.Errorf("an escape that a glass does not know: %q", m[0])
			}
			text = text[len(m[0]):]
			continue
		}
		r := []rune(text)[0]
		text = text[len(string(r)):]
		switch r {
		case '\r':
			g.col = 0
		case '\n':
			g.next()
		default:
			if g.col >= g.columns {
				g.next()
			}
			line := g.line()
			for len(*line) <= g.col {
				*line = append(*line, ' ')
			}
			(*line)[g.col] = r
			g.col++
		}
	}
	return len(p), nil
}

// next goes to the next row; from the last one the screen is scrolled.
func (g *glass) next() {
	g.row, g.col = g.row+1, 0
	if g.height > 0 && g.row >= g.height {
		g.line()
		g.history = append(g.history, string(g.rows[0]))
		g.rows, g.row = g.rows[1:], g.row-1
	}
}

func (g *glass) line() *[]rune {
	for len(g.rows) <= g.row {
		g.rows = append(g.rows, nil)
	}
	return &g.rows[g.row]
}

func (g *glass) String() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var lines []string
	for _, row := range g.rows {
		lines = append(lines, strings.TrimRight(string(row), " "))
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

func onGlass(columns, rows int) (*glass, *screen) {
	g := &glass{columns: columns}
	return g, &screen{to: g, size: func() (int, int) { return g.columns, rows }}
}

func TestScreenDrawsOverItself(t *testing.T) {
	g, s := onGlass(20, 10)
	fmt.Fprintln(s, "before")
	s.draw([]string{"one", "two", "three"})
	s.draw([]string{"four", "five"})
	if got := g.String(); got != "before\nfour\nfive" {
		t.Errorf("%q", got)
	}
	fmt.Fprintln(s, "above") // it goes above what is drawn next
	s.draw([]string{"six"})
	if got := g.String(); got != "before\nabove\nsix" {
		t.Errorf("%q", got)
	}
	s.draw(nil)
	s.draw(nil)
	fmt.Fprintln(s, "after")
	if got := g.String(); got != "before\nabove\nafter" {
		t.Errorf("%q", got)
	}
}

func TestScreenKeepsWithinTheTerminal(t *testing.T) {
	g, s := onGlass(10, 4)
	s.draw([]string{"a line that is too long", "쇼핑쇼핑쇼핑", "\x1b[2Jred\tx", "a fourth", "a fifth"})
	if got := g.String(); got != "a line t…\n쇼핑쇼핑…\n?[2Jred?x" {
		t.Errorf("%q", got)
	}
	// Narrower than it was drawn for: what the terminal wraps is cleared too.
	g, s = onGlass(20, 10)
	s.draw([]string{"nineteen characters"})
	g.columns = 10
	g.rows, g.row, g.col = [][]rune{[]rune("nineteen c"), []rune("haracters")}, 2, 0
	s.draw([]string{"short"})
	if got := g.String(); got != "short" {
		t.Errorf("%q", got)
	}
	// One row is enough for one line.
	g, s = onGlass(10, 1)
	s.draw([]string{"one", "two"})
	if got := g.String(); got != "one" {
		t.Errorf("%q", got)
	}
}

// Wherever on the screen the block is, and however small the screen, no drawing
// ends up in the history.
func TestScreenLeavesNoHistory(t *testing.T) {
	for _, above := range []int{0, 1, 7} {
		for height := 1; height < 9; height++ {
			g := &glass{columns: 12, height: height}
			s := &screen{to: g, size: func() (int, int) { return g.columns, height }}
			for range above {
				fmt.Fprint(s, "above\r\n")
			}
			s.draw([]string{"frame"})
			for i := range 20 {
				s.draw(strings.Split(strings.Repeat("frame 주문 서비스 of many columns\n", 1+i%6), "\n"))
			}
			s.draw(nil)
			if text := strings.Join(g.history, "\n"); strings.Contains(text, "frame") && height > 1 {
				t.Errorf("%d rows, %d lines above: in the history is\n%s", height, above, text)
			}
			if strings.Contains(g.String(), "frame") && height > 1 {
				t.Errorf("%d rows, %d lines above: left on the screen is\n%s", height, above, g)
			}
		}
	}
}

func aProgress() kabench.Progress {
	now := kabench.Progress{
		Elapsed: 12 * time.Second, Total: 35 * time.Second, WarmUp: 5 * time.Second, InFlight: 13, Offered: 400.4, Achieved: 398, Throughput: 396,
		Totals: collectors.Totals{Due: 4812, Started: 4810, OK: 4798, Failed: 12},
		Pool:   collectors.Gauges{Leased: 12, Idle: 4, Dialing: 1, Pending: 3}, MaxConns: 16, PendingMax: 32,
		Sockets: &results.SocketSample{Client: map[string]int{"TIME_WAIT": 217}, Server: map[string]int{"TIME_WAIT": 85}, PortsUsed: 233}, Ports: 28232,
	}
	now.Totals.Phases[results.PhaseBeforeResponse], now.Totals.Phases[results.PhaseConnect] = 10, 2
	return now
}

func TestProgressLines(t *testing.T) {
	want := `idle-race: 12 s of 35 s
rate       400/s offered, 398/s achieved, 396/s ok
exchanges  in flight 13, ok 4798, failed 12, dropped 2
pool       leased 12 of 16, idle 4, dialing 1, pending 3 of 32
failures   connect 2, before_response 10
sockets    TIME_WAIT 217 ours, 85 the server's; ports 233 of 28232`
	if got := strings.Join(progressLines("idle-race", aProgress()), "\n"); got != want {
		t.Errorf("%s", got)
	}
	// What is not known is not said.
	now := kabench.Progress{Elapsed: 3 * time.Second, WarmUp: 5 * time.Second, PendingMax: -1, Buffered: 7}
	want = `3 s, warming up
rate       0/s offered, 0/s achieved, 0/s ok
exchanges  in flight 0, ok 0, failed 0, dropped 0, in the buffer 7
pool       leased 0, idle 0, dialing 0, pending 0`
	if got := strings.Join(progressLines("", now), "\n"); got != want {
		t.Errorf("%s", got)
	}
	now = aProgress()
	now.Elapsed = 36 * time.Second
	if got := progressLines("", now)[0]; got != "36 s of 35 s, waiting for what is in flight" {
		t.Errorf("%s", got)
	}
}

func TestPlainProgressEveryFiveSeconds(t *testing.T) {
	var b strings.Builder
	s := &streams{err: &b}
	p := newProgress(s)
	p.begin("run 1 of 2")
	for i := range 12 {
		now := aProgress()
		now.Elapsed = time.Duration(i) * time.Second
		p.show(now)
	}
	p.end()
	want := `run 1 of 2
run 1 of 2: 5 s of 35 s · 398/s of 400/s started · due 4812, ok 4798, failed 12 (connect 2, before_response 10), in flight 13 · leased 12 of 16, idle 4, dialing 1, pending 3 of 32 · TIME_WAIT 217, ports 233
run 1 of 2: 10 s of 35 s · 398/s of 400/s started · due 4812, ok 4798, failed 12 (connect 2, before_response 10), in flight 13 · leased 12 of 16, idle 4, dialing 1, pending 3 of 32 · TIME_WAIT 217, ports 233
`
	if b.String() != want {
		t.Errorf("%s", b.String())
	}
	b.Reset()
	p = newProgress(&streams{err: &b, json: true})
	p.begin("x")
	p.show(aProgress())
	p.end()
	if b.Len() > 0 {
		t.Errorf("with --json there is progress: %s", b.String())
	}
}
