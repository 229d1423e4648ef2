package chromium

import (
	"image"
	"image/color"
	"image/draw"
	"math/rand/v2"
	"strings"
	"testing"
)

// sheet is a page that a test draws: headings, paragraphs and charts.
type sheet struct {
	width   int
	leading int     // height of a line of text
	letters float64 // width of a letter: wider ones make more lines
	without int     // section that is left out, from 1
	cut     int     // section whose right half is missing, from 1
	dark    bool
}

const sections = 5

func (s sheet) draw() image.Image {
	paper, ink := color.Gray{252}, color.Gray{30}
	if s.dark {
		paper, ink = color.Gray{22}, color.Gray{230}
	}
	p := image.NewRGBA(image.Rect(0, 0, s.width, 4500))
	box := func(x0, y0, x1, y1 int, c color.Gray) {
		draw.Draw(p, image.Rect(x0, y0, min(x1, s.width-40), y1), image.NewUniform(c), image.Point{}, draw.Src)
	}
	box(0, 0, s.width, 4500, paper)
	draw.Draw(p, p.Bounds(), image.NewUniform(paper), image.Point{}, draw.Src)
	y := 40
	for n := 1; n <= sections; n++ {
		r := rand.New(rand.NewPCG(uint64(n), 1))
		top := y
		box(40, y, 40+200+r.IntN(300), y+30, ink)
		y += 2 * s.leading
		x := 40
		for range 40 + r.IntN(50) { // words
			long := int(s.letters * float64(3+r.IntN(8)))
			if x+long > s.width-40 {
				x, y = 40, y+s.leading
			}
			box(x, y+6, x+long, y+16, ink)
			x += long + 8
		}
		y += 2 * s.leading
		if n%2 == 0 {
			for x := 60; x < s.width-60; x += 30 { // a chart
				box(x, y+r.IntN(250), x+20, y+280, color.Gray{120})
			}
			y += 300
		}
		switch n {
		case s.without:
			draw.Draw(p, image.Rect(0, top, s.width, y), image.NewUniform(paper), image.Point{}, draw.Src)
			y = top
		case s.cut:
			draw.Draw(p, image.Rect(s.width/2, top, s.width, y), image.NewUniform(paper), image.Point{}, draw.Src)
		}
		y += 60
	}
	return p.SubImage(image.Rect(0, 0, s.width, y))
}

// Other fonts are tolerated. A part that is missing, new or cut off, and another theme,
// are not.
func TestCompare(t *testing.T) {
	for _, width := range []int{1400, 390} {
		plain := sheet{width: width, leading: 25, letters: 8}
		kept := Small(plain.draw())
		with := func(change func(*sheet)) image.Image {
			s := plain
			change(&s)
			return s.draw()
		}
		for name, tt := range map[string]struct {
			now  image.Image
			want string
		}{
			"the same":       {plain.draw(), ""},
			"taller lines":   {with(func(s *sheet) { s.leading = 26 }), ""},
			"wider letters":  {with(func(s *sheet) { s.letters = 8.4 }), ""},
			"a section less": {with(func(s *sheet) { s.without = 4 }), "missing"},
			"text less":      {with(func(s *sheet) { s.without = 3 }), "missing"},
			"the end less":   {with(func(s *sheet) { s.without = sections }), "missing"},
			"cut off":        {with(func(s *sheet) { s.cut = 2 }), "cut off"},
			"another theme":  {with(func(s *sheet) { s.dark = true }), "theme"},
			"another width":  {sheet{width: width + 100, leading: 25, letters: 8}.draw(), "blocks wide"},
		} {
			got := Compare(gray(fewShades(kept)), Small(tt.now))
			if (tt.want == "") != (len(got) == 0) || tt.want != "" && !strings.Contains(got[0], tt.want) {
				t.Errorf("%d wide, %s: %q, want %q", width, name, got, tt.want)
			}
		}
		less := plain
		less.without = 4
		if got := Compare(Small(less.draw()), kept); len(got) == 0 {
			t.Errorf("%d wide: a section more is not seen", width)
		}
	}
}
