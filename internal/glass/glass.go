// Package glass is a terminal for tests: it shows as rows what was written to it.
package glass

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// Glass is a terminal that understands what terminal.Screen writes: CR, LF, cursor up and
// erase to the end of a row. Like tmux, it keeps in its history the rows that it scrolls, and
// a screen that is erased from its first character on.
type Glass struct {
	mu       sync.Mutex
	Columns  int
	Height   int // 0: without a last row
	rows     [][]rune
	row, col int
	history  []string
}

var escape = regexp.MustCompile(`^\x1b\[([0-9;]*)([A-Za-z])`)

func (g *Glass) Write(p []byte) (int, error) {
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
			case "m": // a colour, which takes no column
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
			if g.col >= g.Columns {
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

// next goes to the next row. From the last row it scrolls the screen.
func (g *Glass) next() {
	g.row, g.col = g.row+1, 0
	if g.Height > 0 && g.row >= g.Height {
		g.line()
		g.history = append(g.history, string(g.rows[0]))
		g.rows, g.row = g.rows[1:], g.row-1
	}
}

func (g *Glass) line() *[]rune {
	for len(g.rows) <= g.row {
		g.rows = append(g.rows, nil)
	}
	return &g.rows[g.row]
}

// Narrow changes its width to columns and wraps the rows that it shows.
func (g *Glass) Narrow(columns int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var wrapped [][]rune
	row := 0
	for i, text := range g.rows {
		if i == g.row {
			row = len(wrapped)
		}
		for len(text) > columns {
			wrapped, text = append(wrapped, text[:columns]), text[columns:]
		}
		wrapped = append(wrapped, text)
	}
	if g.row >= len(g.rows) { // below all text
		row = g.row - len(g.rows) + len(wrapped)
	}
	g.row = row
	g.Columns, g.rows = columns, wrapped
}

// History returns the rows that it has scrolled, and the screens that were erased.
func (g *Glass) History() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return strings.Join(g.history, "\n")
}

func (g *Glass) String() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var lines []string
	for _, row := range g.rows {
		lines = append(lines, strings.TrimRight(string(row), " "))
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}
