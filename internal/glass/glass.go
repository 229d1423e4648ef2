// Package glass is a terminal for tests: what is written to it can be read as rows.
package glass

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// Glass is a terminal of so many columns, and of so many rows if it has a last one,
// that knows what screen uses: CR, LF, cursor up and erase to the end of a row. As
// tmux does it keeps what it scrolls, and a screen that is erased from its first
// character on.
type Glass struct {
	mu       sync.Mutex
	Columns  int
	Height   int // 0: without a last row
	rows     [][]rune
	row, col int
	history  []string
}

var escape = regexp.MustCompile(`^\x1b\[([0-9]*)([A-Za-z])`)

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

// next goes to the next row; from the last one the screen is scrolled.
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

// Narrow makes it a terminal of so many columns, which wraps what it shows.
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

// History is what it has scrolled, and what it kept of a screen that was erased.
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
