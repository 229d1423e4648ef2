package layout

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
	"unicode"
)

// terminal is a Terminal with that number of columns.
type terminal struct {
	strings.Builder
	columns int
}

func (t *terminal) Columns() int { return t.columns }

func printed(t testing.TB, columns int, marked string) string {
	t.Helper()
	w := &terminal{columns: columns}
	if err := Print(w, marked, 0); err != nil {
		t.Fatal(err)
	}
	return w.String()
}

func TestColumns(t *testing.T) {
	for text, want := range map[string]int{"": 0, "abc": 3, "주문": 4, "\u1112\u1161\u11ab": 2, "e\u0301": 1, "…": 1, "日本": 4, "µs": 2} {
		if got := Columns(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
	for columns := range 12 {
		if text, width := Cut("쇼핑 abc 쇼핑", columns); width > columns || columns > 1 && text == "" {
			t.Errorf("in %d columns: %q takes %d", columns, text, width)
		}
	}
	if text, width := Cut("exactly", 7); text != "exactly" || width != 7 {
		t.Errorf("%q, %d", text, width)
	}
}

func TestParagraph(t *testing.T) {
	var b bytes.Buffer
	Paragraph(&b, "note: ", "주문 서비스 failed 10 % of\nits requests")
	want := "note: 주문 서비스\n      failed 10 %\n      of its\n      requests\n"
	if got := printed(t, 17, b.String()); got != want {
		t.Errorf("%q", got)
	}
	if got := printed(t, 0, b.String()); got != "note: 주문 서비스 failed 10 % of its requests\n" {
		t.Errorf("%q", got)
	}
	// A word that is longer than a line is broken in a terminal, and whole in a file.
	b.Reset()
	Paragraph(&b, "", "x 123456789012")
	if got := printed(t, 5, b.String()); got != "x\n12345\n67890\n12\n" {
		t.Errorf("%q", got)
	}
	var file strings.Builder
	if err := Print(&file, b.String(), 5); err != nil || file.String() != "x\n123456789012\n" {
		t.Errorf("%v, %q", err, file.String())
	}
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	rows := Table(&b)
	fmt.Fprint(rows, "주문\tone and two and three\nab\t4\n")
	rows.Flush()
	if got := printed(t, 40, b.String()); got != "주문  one and two and three\nab    4\n" {
		t.Errorf("%q", got)
	}
	if got := printed(t, 18, b.String()); got != "주문  one and two\n      and three\nab    4\n" {
		t.Errorf("%q", got)
	}
}

func TestGrid(t *testing.T) {
	var b bytes.Buffer
	grid := Grid(&b, 2)
	fmt.Fprint(grid, "\tfirst\tsecond\tthird\nrate\t1\t2\t3\n")
	grid.Flush()
	for columns, want := range map[int]string{
		0:  "      first  second  third\nrate  1      2       3\n",
		21: "      first  second\nrate  1      2\n\n      first  third\nrate  1      3\n", // the first one again
		12: "      first\nrate  1\n\n      second\nrate  2\n\n      third\nrate  3\n",     // no room for that
		10: "\n    first\nrate  1\n\n\n    second\nrate  2\n\n\n    third\nrate  3\n",     // below the label
		25: "      first  second\nrate  1      2\n\n      first  third\nrate  1      3\n",
	} {
		if got := printed(t, columns, b.String()); got != want {
			t.Errorf("in %d columns:\n%q, want\n%q", columns, got, want)
		}
	}
}

func TestEither(t *testing.T) {
	var b bytes.Buffer
	Either(&b, "one line of text\n", "one line\nof text\n")
	if wide, thin := printed(t, 16, b.String()), printed(t, 15, b.String()); wide != "one line of text\n" || thin != "one line\nof text\n" {
		t.Errorf("%q, %q", wide, thin)
	}
}

// Nothing that a name or an error text has in it, the marks among that, gets
// to the terminal or makes a line too long.
func FuzzPrint(f *testing.F) {
	f.Add("plain", "a\tb", 60)
	f.Add(markTable+kindGrid+"-7\n", markWide+"\n"+markTable+"\n", 60)
	f.Add("x\n"+markWide+"\n"+markThin, markEnd+"\n"+markDone, 1)
	f.Add("주문 서비스\u0301\xff", strings.Repeat("쇼", 90), 9)
	f.Fuzz(func(t *testing.T, name, cell string, columns int) {
		columns = int(math.Abs(float64(columns%200))) + 8
		var b bytes.Buffer
		fmt.Fprintln(&b, name)
		Paragraph(&b, name+": ", cell)
		rows := Table(&b)
		fmt.Fprintf(rows, "label\t%s\t%s\n%s\n", cell, name, cell)
		rows.Flush()
		grid := Grid(&b, 2)
		fmt.Fprintf(grid, "\t%s\t%s\t%s\nlabel\t%s\t1\t2\n", name, name, cell, cell)
		grid.Flush()
		Either(&b, name+"\n", cell+"\n")
		for line := range strings.Lines(printed(t, columns, b.String())) {
			line = strings.TrimSuffix(line, "\n")
			if n := Columns(line); n > columns {
				t.Errorf("%d columns of %d: %q", n, columns, line)
			}
			if i := strings.IndexFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
				t.Errorf("not printable: %q", line)
			}
		}
	})
}
