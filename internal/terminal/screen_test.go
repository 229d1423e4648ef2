package terminal

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kabench/kabench/internal/glass"
)

func onGlass(columns, rows int) (*glass.Glass, *Screen) {
	g := &glass.Glass{Columns: columns}
	return g, &Screen{to: g, size: func() (int, int) { return g.Columns, rows }}
}

func TestScreenDrawsOverItself(t *testing.T) {
	g, s := onGlass(20, 10)
	fmt.Fprintln(s, "before")
	s.Draw([]string{"one", "two", "three"})
	s.Draw([]string{"four", "five"})
	if got := g.String(); got != "before\nfour\nfive" {
		t.Errorf("%q", got)
	}
	fmt.Fprintln(s, "above") // it goes above what is drawn next
	s.Draw([]string{"six"})
	if got := g.String(); got != "before\nabove\nsix" {
		t.Errorf("%q", got)
	}
	s.Draw(nil)
	s.Draw(nil)
	fmt.Fprintln(s, "after")
	if got := g.String(); got != "before\nabove\nafter" {
		t.Errorf("%q", got)
	}
}

func TestScreenKeepsWithinTheTerminal(t *testing.T) {
	g, s := onGlass(10, 4)
	s.Draw([]string{"a line that is too long", "쇼핑쇼핑쇼핑", "\x1b[2Jred\tx", "a fourth", "a fifth"})
	if got := g.String(); got != "a line t…\n쇼핑쇼핑…\n?[2Jred?x" {
		t.Errorf("%q", got)
	}
	// If the terminal has become narrower, the rows that it wrapped are cleared too.
	g, s = onGlass(20, 10)
	s.Draw([]string{"nineteen characters"})
	g.Narrow(10)
	s.Draw([]string{"short"})
	if got := g.String(); got != "short" {
		t.Errorf("%q", got)
	}
	// A terminal with one row shows one line.
	g, s = onGlass(10, 1)
	s.Draw([]string{"one", "two"})
	if got := g.String(); got != "one" {
		t.Errorf("%q", got)
	}
}

// No drawing gets into the history, wherever the block is on the screen, and however small
// the screen is.
func TestScreenLeavesNoHistory(t *testing.T) {
	for _, above := range []int{0, 1, 7} {
		for height := 1; height < 9; height++ {
			g := &glass.Glass{Columns: 12, Height: height}
			s := &Screen{to: g, size: func() (int, int) { return g.Columns, height }}
			for range above {
				fmt.Fprint(s, "above\r\n")
			}
			s.Draw([]string{"frame"})
			for i := range 20 {
				s.Draw(strings.Split(strings.Repeat("frame 주문 서비스 of many columns\n", 1+i%6), "\n"))
			}
			s.Draw(nil)
			if text := g.History(); strings.Contains(text, "frame") && height > 1 {
				t.Errorf("%d rows, %d lines above: in the history is\n%s", height, above, text)
			}
			if strings.Contains(g.String(), "frame") && height > 1 {
				t.Errorf("%d rows, %d lines above: left on the screen is\n%s", height, above, g)
			}
		}
	}
}
