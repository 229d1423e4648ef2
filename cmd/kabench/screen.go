package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/term"
	"golang.org/x/text/width"
)

// screen is standard error. In a terminal it can hold a block of lines at its
// end that is drawn over and over; what else is written goes above it. The
// cursor is never hidden, and rests below the block: whenever kabench ends, by
// whatever signal, there is nothing to restore.
type screen struct {
	to   io.Writer
	size func() (columns, rows int) // of the terminal; nil: it is none

	mu     sync.Mutex
	widths []int // guarded by mu: columns of the lines of the block; empty: there is none
}

// newScreen makes one of a file that is a terminal, or of anything else.
func newScreen(to io.Writer) *screen {
	s := &screen{to: to}
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

// Write puts text above the block, which is drawn again the next time.
func (s *screen) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wipe()
	return s.to.Write(text)
}

// draw puts the block in place of the one before; without lines it is gone. It
// takes no more of the terminal than there is: lines are cut, and the last ones
// left out.
func (s *screen) draw(lines []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.size == nil {
		return
	}
	columns, rows := s.size()
	var b bytes.Buffer
	s.erase(&b, columns)
	for i, line := range lines {
		if i > 0 && i >= rows-1 {
			break // one row is the cursor's
		}
		line, width := cut(line, max(columns-1, 1)) // a full line would move the cursor, or not, as terminals please
		s.widths = append(s.widths, width)
		b.WriteString(line + "\r\n")
	}
	s.to.Write(b.Bytes()) // in one, so that none sees half of it
}

// wipe takes the block away.
func (s *screen) wipe() {
	if len(s.widths) == 0 {
		return
	}
	columns, _ := s.size()
	var b bytes.Buffer
	s.erase(&b, columns)
	s.to.Write(b.Bytes())
}

// erase goes to the first line of the block and clears from there on. In a
// terminal that has become narrower the block's lines take more rows than they
// did.
func (s *screen) erase(b *bytes.Buffer, columns int) {
	rows := 0
	for _, w := range s.widths {
		rows += max(1, (w+columns-1)/columns)
	}
	if rows > 0 {
		fmt.Fprintf(b, "\r\x1b[%dA\x1b[J", rows) // CUU, ED of ECMA-48
	}
	s.widths = s.widths[:0]
}

// cut is text in at most so many columns, and how many it takes. What is not
// printable, as an escape sequence in a profile's name, is shown as a question
// mark.
func cut(text string, columns int) (string, int) {
	var b strings.Builder
	used := 0
	for i, r := range text {
		if !unicode.IsPrint(r) {
			r = '?'
		}
		w := columnsOf(r)
		left := columns - used - w
		if left < 0 || left == 0 && len(text[i:]) > len(string(r)) {
			if used < columns {
				b.WriteRune('…')
				used++
			}
			break
		}
		b.WriteRune(r)
		used += w
	}
	return b.String(), used
}

// columnsOf is how wide a character is; those of East Asian scripts take two.
func columnsOf(r rune) int {
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}
