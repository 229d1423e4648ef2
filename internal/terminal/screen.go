// Package terminal writes to terminals: a block of lines that is drawn over and over,
// and text that is as wide as the terminal.
package terminal

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"

	"github.com/kabench/kabench/internal/layout"
)

// Screen is standard error. In a terminal it can have a block of lines at its end that is
// drawn over and over; other text goes above the block. The cursor is never hidden and
// stays below the block, so that nothing has to be restored when kabench ends, even by a
// signal.
type Screen struct {
	to   io.Writer
	size func() (columns, rows int) // of the terminal; nil: it is not a terminal

	mu     sync.Mutex
	colour bool  // guarded by mu
	widths []int // guarded by mu: columns of the lines of the block; empty: no block
}

// NewScreen makes a Screen of a terminal, or of any other writer.
func NewScreen(to io.Writer) *Screen {
	s := &Screen{to: to}
	f, ok := to.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("TERM") == "dumb" || !understandsEscapes(f) {
		return s
	}
	s.size = func() (columns, rows int) {
		columns, rows, err := term.GetSize(int(f.Fd()))
		if err != nil || columns < 1 || rows < 1 {
			return 80, 24
		}
		return columns, rows
	}
	return s
}

// IsTerminal reports whether Draw shows anything.
func (s *Screen) IsTerminal() bool { return s.size != nil }

// SetColour has the block coloured from now on, or not.
func (s *Screen) SetColour(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.colour = on
}

// Write puts text above the block. The next Draw shows the block again.
func (s *Screen) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wipe()
	return s.to.Write(text)
}

// Draw replaces the block; without lines it removes the block. Lines are cut, and the last
// ones left out, so that the block fits the terminal.
func (s *Screen) Draw(lines []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.size != nil {
		s.put(lines)
	}
}

// wipe removes the block.
func (s *Screen) wipe() {
	if len(s.widths) > 0 {
		s.put(nil)
	}
}

// put writes lines over the block, each in its row, and clears the rows that are left. It
// clears rows one by one and never the whole screen, because tmux adds a screen that is
// cleared from its first row on to its history.
func (s *Screen) put(lines []string) {
	columns, rows := s.size()
	var b bytes.Buffer
	up := min(s.rows(columns), max(rows-1, 1)) // one row is the cursor's
	if up > 0 {
		fmt.Fprintf(&b, "\r\x1b[%dA", up) // CUU of ECMA-48
	}
	s.widths = s.widths[:0]
	for _, line := range lines[:min(len(lines), max(rows-1, 1))] {
		line, width := layout.Cut(line, max(columns-1, 1)) // a full line would move the cursor, or not, as terminals please
		s.widths = append(s.widths, width)
		if s.colour {
			line = paint(line)
		}
		b.WriteString(line + clearRow)
	}
	if left := up - len(s.widths); left > 0 {
		b.WriteString(strings.Repeat(clearRow, left))
		fmt.Fprintf(&b, "\x1b[%dA", left)
	}
	s.to.Write(b.Bytes()) // in one write, so that no half of it is shown
}

// clearRow clears the rest of the row (EL of ECMA-48) and goes to the next one.
const clearRow = "\x1b[K\r\n"

// rows returns how many rows the block takes. In a terminal that has become narrower it
// takes more than before.
func (s *Screen) rows(columns int) (rows int) {
	for _, w := range s.widths {
		rows += max(1, (w+columns-1)/columns)
	}
	return rows
}
