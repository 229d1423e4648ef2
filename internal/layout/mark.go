package layout

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// The marks. Each stands at the beginning of a line but markHang, which ends the
// prefix of a paragraph.
const (
	markHang  = "\x1f"
	markTable = "\x1d" // then the kind of the block, its rows, and markEnd
	markEnd   = "\x1e"
	kindRows  = "rows"
	kindGrid  = "grid " // then how many columns are kept in each block
	markWide  = "\x1c1" // what to print where it fits,
	markThin  = "\x1c2" // what where it does not,
	markDone  = "\x1c3" // and the end of both
)

// Paragraph writes text to be wrapped between words, after prefix; its later lines
// are indented by as much as prefix is wide.
func Paragraph(b *bytes.Buffer, prefix, text string) {
	fmt.Fprintf(b, "%s%s%s\n", prefix, markHang, strings.Join(words(text), markHang))
}

// words are the words of text, a number and the % after it being one.
func words(text string) []string {
	var list []string
	for _, word := range strings.Fields(text) {
		if strings.HasPrefix(word, "%") && len(list) > 0 {
			list[len(list)-1] += " " + word
		} else {
			list = append(list, word)
		}
	}
	return list
}

// Rows takes in the rows of a table: lines whose cells are separated by tabs. The
// last cell of a row is as wide as it pleases.
type Rows struct {
	to   *bytes.Buffer
	kind string
	text bytes.Buffer
}

// Table is a table whose rows are read one by one. Where it is too wide the last
// cells are wrapped, or the cells of a row stand below each other.
func Table(b *bytes.Buffer) *Rows { return &Rows{to: b, kind: kindRows} }

// Grid is a table whose columns stand beside each other to be compared. Where it
// is too wide it is split into blocks of columns; the first ones, so many, are
// repeated in each block, if there is room.
func Grid(b *bytes.Buffer, repeated int) *Rows {
	return &Rows{to: b, kind: kindGrid + strconv.Itoa(repeated)}
}

func (r *Rows) Write(text []byte) (int, error) { return r.text.Write(text) }

// Flush ends the table.
func (r *Rows) Flush() {
	fmt.Fprintf(r.to, "%s%s\n%s%s\n", markTable, r.kind, r.text.Bytes(), markEnd)
}

// Either writes wide where it fits, and else thin. Both end in a line end.
func Either(b *bytes.Buffer, wide, thin string) {
	fmt.Fprintf(b, "%s\n%s%s\n%s%s\n", markWide, wide, markThin, thin, markDone)
}
