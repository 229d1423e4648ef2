package terminal

import (
	"bytes"
	"io"
	"os"
	"strconv"

	"golang.org/x/term"

	"github.com/kabench/kabench/internal/layout"
)

// Text is laid out for at least narrowest and at most widest columns.
const (
	narrowest = 60
	widest    = 200
)

// Output is standard output as a layout.Terminal. Its width is COLUMNS, or else the width of
// the terminal.
type Output struct {
	io.Writer
	Colour bool // the words of verdicts and failures are coloured
}

// Write writes text, which ends with a line or is one.
func (o Output) Write(text []byte) (int, error) {
	if !o.Colour {
		return o.Writer.Write(text)
	}
	if _, err := io.WriteString(o.Writer, paint(string(text))); err != nil {
		return 0, err
	}
	return len(text), nil
}

// Columns returns 0 for a file or a pipe. Reports then have a width of their own, and lists
// have none.
func (o Output) Columns() int {
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		return min(max(n, narrowest), widest)
	}
	f, ok := o.Writer.(*os.File)
	if !ok {
		return 0
	}
	n, _, err := term.GetSize(int(f.Fd()))
	if err != nil || n < 1 {
		return 0
	}
	return min(max(n, narrowest), widest)
}

// Fitted writes what print writes, laid out for the columns of w, or for otherwise columns if
// w has none.
func Fitted(w io.Writer, otherwise int, print func(*bytes.Buffer) error) error {
	var b bytes.Buffer
	if err := print(&b); err != nil {
		return err
	}
	return layout.Print(w, b.String(), otherwise)
}
