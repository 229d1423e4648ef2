package layout

import (
	"io"
	"slices"
	"strconv"
	"strings"
)

// Terminal is a writer that knows how many columns its text may have.
type Terminal interface {
	io.Writer
	Columns() int // 0: no limit
}

// Print lays out marked text and writes it. If w is a Terminal with a number of columns,
// the text fits into them; otherwise it fits into columns, where 0 means no limit.
func Print(w io.Writer, marked string, columns int) error {
	p := page{columns: columns}
	if t, ok := w.(Terminal); ok && t.Columns() > 0 {
		p = page{columns: t.Columns(), strict: true}
	}
	p.lay(strings.SplitAfter(marked, "\n"))
	_, err := io.WriteString(w, p.out.String())
	return err
}

// page is text that is being laid out.
type page struct {
	columns int // 0: no limit
	// strict wraps lines that are no paragraphs, and breaks words that are longer than
	// a line. In a file they stay whole, so that they can be searched for.
	strict bool
	out    strings.Builder
}

// lay lays out lines, which have their line ends.
func (p *page) lay(lines []string) {
	for i := 0; i < len(lines); i++ {
		line := strings.TrimSuffix(lines[i], "\n")
		switch {
		case line == "" && lines[i] == "":
		case strings.HasPrefix(line, markTable):
			n := until(lines[i+1:], markEnd)
			p.table(strings.TrimPrefix(line, markTable), lines[i+1:i+1+n])
			i += n + 1
		case line == markWide:
			n := until(lines[i+1:], markThin)
			m := until(lines[min(i+n+2, len(lines)):], markDone)
			wide, thin := lines[i+1:i+1+n], lines[min(i+n+2, len(lines)):min(i+n+2+m, len(lines))]
			if p.fits(wide) {
				p.lay(wide)
			} else {
				p.lay(thin)
			}
			i += n + m + 2
		case strings.Contains(line, markHang):
			prefix, text, _ := strings.Cut(line, markHang)
			p.wrap(prefix, Columns(prefix), strings.Split(text, markHang))
		default:
			p.line(line)
		}
	}
}

// until returns how many lines stand before the first line that is mark; all lines if
// there is none.
func until(lines []string, mark string) int {
	if i := slices.IndexFunc(lines, func(line string) bool { return strings.TrimSuffix(line, "\n") == mark }); i >= 0 {
		return i
	}
	return len(lines)
}

func (p *page) fits(lines []string) bool {
	q := page{}
	q.lay(lines)
	for line := range strings.Lines(q.out.String()) {
		if p.tooWide(Columns(strings.TrimSuffix(line, "\n"))) {
			return false
		}
	}
	return true
}

func (p *page) tooWide(columns int) bool { return p.columns > 0 && columns > p.columns }

func (p *page) write(line string) {
	p.out.WriteString(strings.TrimRight(printable(line), " "))
	p.out.WriteByte('\n')
}

// line writes a line that is no paragraph. If it is too wide, it is wrapped. Its later
// lines begin at its last column in the left half, or a little further right than the
// line itself.
func (p *page) line(line string) {
	if !p.strict || !p.tooWide(Columns(line)) {
		p.write(line)
		return
	}
	indent := len(line) - len(strings.TrimLeft(line, " "))
	hang := indent
	for i := hang; i+2 < len(line) && Columns(line[:i]) < p.columns/2; i++ {
		if line[i] == ' ' && line[i+1] == ' ' && line[i+2] != ' ' {
			hang = i + 2
		}
	}
	columns := Columns(line[:hang])
	if indent > 0 && hang == indent {
		columns += gap // later lines are indented, as in an example of a command
	}
	p.wrap(line[:hang], columns, words(line[hang:]))
}

// wrap writes prefix and words. Later lines are indented by hang columns.
func (p *page) wrap(prefix string, hang int, text []string) {
	if p.tooWide(Columns(prefix)) {
		prefix, text = "", append(words(prefix), text...)
	}
	if p.columns > 0 && hang > p.columns/2 {
		hang = min(4, p.columns/4) // there is more room below the prefix than beside it
	}
	line, used, empty := prefix, Columns(prefix), true
	for _, word := range text {
		w := Columns(word)
		if !empty && p.tooWide(used+1+w) || empty && used > hang && p.tooWide(used+w) {
			p.write(line)
			line, used, empty = strings.Repeat(" ", hang), hang, true
		}
		for p.strict && p.tooWide(used+w) && empty && p.columns > hang+1 {
			n := head(word, p.columns-used)
			p.write(line + word[:n])
			w -= Columns(word[:n])
			word, line, used = word[n:], strings.Repeat(" ", hang), hang
		}
		if !empty {
			line, used = line+" ", used+1
		}
		line, used, empty = line+word, used+w, false
	}
	p.write(line)
}

// head returns how many bytes of word fit into columns; at least one character.
func head(word string, columns int) int {
	used := 0
	for i, r := range word {
		if used += runeColumns(r); used > columns && i > 0 {
			return i
		}
	}
	return len(word)
}

// table lays out the rows of a block of this kind.
func (p *page) table(kind string, lines []string) {
	var rows [][]string
	for _, line := range lines {
		rows = append(rows, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
	}
	if repeated, ok := strings.CutPrefix(kind, kindGrid); ok {
		n, _ := strconv.Atoi(repeated)
		p.grid(rows, max(1, n))
		return
	}
	p.rows(rows)
}

// gap is between two columns.
const gap = 2

// widths returns the widths of the columns, without the last cell of each row.
func widths(rows [][]string) []int {
	var list []int
	for _, row := range rows {
		for i, cell := range row[:len(row)-1] {
			if i == len(list) {
				list = append(list, 0)
			}
			list[i] = max(list[i], Columns(cell))
		}
	}
	return list
}

// beside returns a row with its cells in columns of these widths. starts is the column
// at which its last cell begins.
func beside(row []string, widths []int) (text string, starts int) {
	var b strings.Builder
	for i, cell := range row {
		if i == len(row)-1 {
			starts = Columns(b.String())
		}
		b.WriteString(cell)
		if i < len(row)-1 {
			b.WriteString(strings.Repeat(" ", max(0, widths[i]+gap-Columns(cell))))
		}
	}
	return b.String(), starts
}

// rows writes a table. In a row that is too wide, the last cell is wrapped if it begins
// in the left two thirds; otherwise everything after the first cell is.
func (p *page) rows(rows [][]string) {
	w := widths(rows)
	for _, row := range rows {
		text, starts := beside(row, w)
		if !p.tooWide(Columns(strings.TrimRight(text, " "))) {
			p.write(text)
			continue
		}
		last := row[len(row)-1]
		if starts <= p.columns*2/3 && starts > 0 && last != "" {
			p.wrap(strings.TrimSuffix(text, last), min(starts, p.columns/2), words(last))
			continue
		}
		indent := len(row[0]) - len(strings.TrimLeft(row[0], " "))
		cells := words(row[0])
		for _, cell := range row[1:] {
			for i, word := range words(cell) {
				if i == 0 {
					word = " " + word // cells are further apart than words
				}
				cells = append(cells, word)
			}
		}
		p.wrap(strings.Repeat(" ", indent), indent+3, cells)
	}
}

// grid writes a table in blocks of columns.
func (p *page) grid(rows [][]string, repeated int) {
	columns := 0
	for _, row := range rows {
		columns = max(columns, len(row))
	}
	all := make([]int, columns)
	for _, row := range rows {
		for i, cell := range row {
			all[i] = max(all[i], Columns(cell))
		}
	}
	kept, room := min(repeated, columns), 0 // width of the repeated columns, each with a gap
	for i := range kept {
		room += all[i] + gap
	}
	for kept > 1 && kept < columns && p.tooWide(room+slices.Max(all[kept:])) {
		kept--
		room -= all[kept] + gap
	}
	var first, block []int
	for i := range kept {
		first = append(first, i)
	}
	block, used := slices.Clone(first), room
	for i := kept; i < columns; i++ {
		if len(block) > kept && p.tooWide(used+all[i]) {
			p.block(rows, block, all)
			p.write("")
			block, used = slices.Clone(first), room
		}
		block, used = append(block, i), used+all[i]+gap
	}
	p.block(rows, block, all)
}

// block writes these columns of a grid. If not even two fit, each cell stands below its
// label.
func (p *page) block(rows [][]string, columns, all []int) {
	var picked [][]string
	for _, row := range rows {
		var cells []string
		for _, i := range columns {
			if i < len(row) {
				cells = append(cells, row[i])
			} else {
				cells = append(cells, "")
			}
		}
		picked = append(picked, cells)
	}
	w := make([]int, len(columns))
	for k, i := range columns {
		w[k] = all[i]
	}
	for _, row := range picked {
		text, _ := beside(row, w)
		if !p.tooWide(Columns(strings.TrimRight(text, " "))) {
			p.write(text)
			continue
		}
		p.line(row[0])
		for _, cell := range row[1:] {
			p.line("    " + cell)
		}
	}
}
