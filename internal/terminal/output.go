package terminal

import (
	"bytes"
	"io"
	"os"
	"strconv"

	"golang.org/x/term"

	"github.com/kabench/kabench/internal/layout"
)

// The narrowest and the widest that text is laid out for, in columns.
const (
	narrowest = 60
	widest    = 200
)

// Output is standard output: a layout.Terminal that is as wide as COLUMNS says, or
// else as the terminal is.
type Output struct{ io.Writer }

// Columns is 0 for a file or a pipe: a report then has its own width, and a list
// has none.
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

// Fitted writes what print writes, laid out for w, or for so many columns if w has
// none.
func Fitted(w io.Writer, otherwise int, print func(*bytes.Buffer) error) error {
	var b bytes.Buffer
	if err := print(&b); err != nil {
		return err
	}
	return layout.Print(w, b.String(), otherwise)
}
