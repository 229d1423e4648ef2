package layout

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// The marks. Each stands at the beginning of a line, except markHang, which ends the
// prefix of a paragraph.
const (
	markHang  = "\x1f"
	markTable = "\x1d" // followed by the kind of the block, its rows, and markEnd
	markEnd   = "\x1e"
	kindRows  = "rows"
	kindGrid  = "grid " // followed by how many columns are repeated in each block
	markWide  = "\x1c1" // followed by the text to print if it fits,
	markThin  = "\x1c2" // followed by the text to print otherwise
	markDone  = "\x1c3" // ends both
)

// Paragraph writes prefix and text. The text is wrapped between words, and its later
// lines are indented by the width of prefix.
func Paragraph(b *bytes.Buffer, prefix, text string) {
	fmt.Fprintf(b, "%s%s%s\n", prefix, markHang, strings.Join(words(text), markHang))
}

// words returns the words of text. A number and the % after it are one word.
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

// Rows receives the rows of a table: lines whose cells are separated by tabs. The last
// cell of a row may have any width.
type Rows struct {
	to   *bytes.Buffer
	kind string
	text bytes.Buffer
}

// Table is a table that is read row by row. If it is too wide, the last cells are
// wrapped, or the cells of a row stand below each other.
func Table(b *bytes.Buffer) *Rows { return &Rows{to: b, kind: kindRows} }

// Grid is a table whose columns are compared with each other. If it is too wide, it is
// split into blocks of columns. The first columns, as many as the parameter
// repeated says, stand in each block again if there is room.
func Grid(b *bytes.Buffer, repeated int) *Rows {
	return &Rows{to: b, kind: kindGrid + strconv.Itoa(repeated)}
}

func (r *Rows) Write(text []byte) (int, error) { return r.text.Write(text) }

// Flush ends the table.
func (r *Rows) Flush() {
	fmt.Fprintf(r.to, "%s%s\n%s%s\n", markTable, r.kind, r.text.Bytes(), markEnd)
}

// Either writes wide if it fits, otherwise thin. Both must end with a line end.
func Either(b *bytes.Buffer, wide, thin string) {
	fmt.Fprintf(b, "%s\n%s%s\n%s%s\n", markWide, wide, markThin, thin, markDone)
}
