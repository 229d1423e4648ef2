package chromium

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"
	"slices"
)

// block is the length in pixels of the side of a square of the page that becomes one
// pixel of its small picture: about a line of text. So letters cannot be seen, and other
// fonts change little.
const block = 20

// shades is how many greys a small picture has.
const shades = 16

// Small makes a small grey picture of a page. Each of its pixels is the brightness in a
// block that is furthest from that of the page's paper: a block with a thin line is as
// different from an empty one as a block with text.
func Small(page image.Image) *image.Gray {
	all := gray(page)
	w, h := (all.Rect.Dx()+block-1)/block, (all.Rect.Dy()+block-1)/block
	paper := mostFrequent(all.Pix)
	small := image.NewGray(image.Rect(0, 0, w, h))
	for i := range small.Pix {
		small.Pix[i] = paper
	}
	for y := range all.Rect.Dy() {
		line := small.Pix[y/block*w:]
		for x, v := range all.Pix[y*all.Stride : y*all.Stride+all.Rect.Dx()] {
			if far := &line[x/block]; distance(v, paper) > distance(*far, paper) {
				*far = v
			}
		}
	}
	for i, v := range small.Pix {
		if d := ink * int(distance(v, paper)); v < paper {
			small.Pix[i] = uint8(max(int(paper)-d, 0))
		} else {
			small.Pix[i] = uint8(min(int(paper)+d, 255))
		}
	}
	return small
}

// ink is how much further from the paper a small picture is than the page, so that the
// faint lines of charts count.
const ink = 3

func distance(a, b uint8) uint8 { return max(a, b) - min(a, b) }

func mostFrequent(brightness []uint8) uint8 {
	var counts [256]int
	for _, v := range brightness {
		counts[v]++
	}
	return uint8(slices.Index(counts[:], slices.Max(counts[:])))
}

// fewShades is p with a palette, which takes less space in a file.
func fewShades(p *image.Gray) *image.Paletted {
	var palette color.Palette
	for i := range shades {
		palette = append(palette, color.Gray{Y: uint8(255 * i / (shades - 1))})
	}
	few := image.NewPaletted(p.Bounds(), palette)
	for i, v := range p.Pix {
		few.Pix[i] = uint8(shade(v))
	}
	return few
}

// gray is p in greys.
func gray(p image.Image) *image.Gray {
	g := image.NewGray(image.Rect(0, 0, p.Bounds().Dx(), p.Bounds().Dy()))
	rgba, fast := p.(*image.RGBA)
	if !fast {
		draw.Draw(g, g.Rect, p, p.Bounds().Min, draw.Src)
		return g
	}
	for y := range g.Rect.Dy() {
		line := rgba.Pix[rgba.PixOffset(p.Bounds().Min.X, p.Bounds().Min.Y+y):]
		for x := range g.Rect.Dx() {
			c := line[4*x : 4*x+3 : 4*x+3]
			g.Pix[y*g.Stride+x] = uint8((299*int(c[0]) + 587*int(c[1]) + 114*int(c[2])) / 1000)
		}
	}
	return g
}

// The tolerance of Compare. Brightness is from 0 to 1.
const (
	otherTheme = 0.25 // difference of the brightness of the two pages' paper
	otherRow   = 0.12 // mean difference of two rows that are the same part of the page
	gap        = 0.09 // cost of a row that only one of the pictures has, as the difference of two rows
	open       = 0.25 // further cost of the first of such rows: they are rather next to each other
	longest    = 8    // rows next to each other that may differ
	most       = 0.25 // share of rows that may differ
)

// Compare returns how two small pictures of a page differ, one sentence each; none if
// they show the same. Other fonts move parts of a page up or down and make them a little
// taller. So each row is compared with the row that shows the same part of the page, and
// a few rows may have none. A section that is missing, or cut off, is many rows.
func Compare(kept, now *image.Gray) (differences []string) {
	if kept.Bounds().Dx() != now.Bounds().Dx() {
		return []string{fmt.Sprintf("the page is %d blocks wide, and was %d", now.Bounds().Dx(), kept.Bounds().Dx())}
	}
	if a, b := paper(kept), paper(now); math.Abs(a-b) > otherTheme {
		return []string{fmt.Sprintf("the paper has brightness %.2f, and had %.2f: the theme is another", b, a)}
	}
	steps := align(softened(kept), softened(now))
	changed := 0
	for i := 0; i < len(steps); {
		from := i
		var lost, added, other int
		for ; i < len(steps) && steps[i].changed(); i++ {
			switch {
			case steps[i].now < 0:
				lost++
			case steps[i].kept < 0:
				added++
			default:
				other++
			}
		}
		changed += i - from
		switch n := i - from; {
		case n == 0:
			i++
		case max(lost, added)+other > longest:
			differences = append(differences, fmt.Sprintf("from %d pixels below the top on, %d rows of blocks are lost, %d are new and %d look different: a part of the page is missing, cut off, or was added",
				block*steps[from].y, lost, added, other))
		}
	}
	if len(differences) == 0 && float64(changed) > most*float64(len(steps)) {
		differences = append(differences, fmt.Sprintf("%d of %d rows of blocks look different", changed, len(steps)))
	}
	return differences
}

// paper is the brightness of the background, at the left rim.
func paper(p *image.Gray) float64 {
	counts := make([]int, shades)
	for y := range p.Rect.Dy() {
		counts[shade(p.Pix[y*p.Stride])]++
	}
	return float64(slices.Index(counts, slices.Max(counts))) / (shades - 1)
}

func shade(v uint8) int { return (int(v)*(shades-1) + 127) / 255 }

// softened has the rows of p, each block mixed with its neighbours: a part may have moved
// by a line, and other words may stand where a line ends.
func softened(p *image.Gray) [][]float64 {
	w, h := p.Bounds().Dx(), p.Bounds().Dy()
	flat := mixed(h, w, 2, func(y, x int) float64 { return float64(p.Pix[y*p.Stride+x]) / 255 })
	rows := mixed(w, h, max(w/16, 1), func(x, y int) float64 { return flat[x][y] })
	return rows
}

// mixed returns the means of windows of 2*reach+1 values in the direction of the first index,
// as lists by the second index. Windows are smaller at the ends.
func mixed(n, lists, reach int, value func(i, list int) float64) [][]float64 {
	all := make([][]float64, lists)
	for l := range all {
		all[l] = make([]float64, n)
		for i := range n {
			from, to := max(i-reach, 0), min(i+reach, n-1)
			for k := from; k <= to; k++ {
				all[l][i] += value(k, l) / float64(to-from+1)
			}
		}
	}
	return all
}

// step is a row of one or both pictures.
type step struct {
	kept, now  int // indices of rows; -1: it has none
	y          int // where it is in the kept picture
	difference float64
}

func (s step) changed() bool { return s.kept < 0 || s.now < 0 || s.difference > otherRow }

// rowDifference is the mean difference of the brightness of two rows, of the blocks where
// it is largest: text and lines cover only a part of a row.
func rowDifference(a, b []float64) float64 {
	list := make([]float64, len(a))
	for i := range a {
		list[i] = math.Abs(a[i] - b[i])
	}
	slices.Sort(list)
	sum := 0.0
	n := max(len(list)/2, 1)
	for _, v := range list[len(list)-n:] {
		sum += v
	}
	return sum / float64(n)
}

// align finds which rows show the same part of the page: the way through both pictures
// with the least sum of differences and costs of gaps (Gotoh, Journal of Molecular
// Biology 162, 1982).
func align(a, b [][]float64) []step {
	const both, onlyA, onlyB, states = 0, 1, 2, 3
	n, m := len(a), len(b)
	cost := make([][states]float64, (n+1)*(m+1))
	from := make([][states]uint8, (n+1)*(m+1))
	differ := make([]float64, (n+1)*(m+1))
	at := func(i, j int) int { return i*(m+1) + j }
	for i := 0; i <= n; i++ {
		for j := 0; j <= m; j++ {
			here := at(i, j)
			cost[here] = [states]float64{math.Inf(1), math.Inf(1), math.Inf(1)}
			if i == 0 && j == 0 {
				cost[here][both] = 0
				continue
			}
			try := func(state int, before int, add [states]float64) {
				for s, c := range cost[before] {
					if c+add[s] < cost[here][state] {
						cost[here][state], from[here][state] = c+add[s], uint8(s)
					}
				}
			}
			if i > 0 && j > 0 {
				d := rowDifference(a[i-1], b[j-1])
				differ[here] = d
				try(both, at(i-1, j-1), [states]float64{d, d, d})
			}
			if i > 0 {
				try(onlyA, at(i-1, j), [states]float64{gap + open, gap, gap + open})
			}
			if j > 0 {
				try(onlyB, at(i, j-1), [states]float64{gap + open, gap + open, gap})
			}
		}
	}
	state := both
	for s, c := range cost[at(n, m)] {
		if c < cost[at(n, m)][state] {
			state = s
		}
	}
	var steps []step
	for i, j := n, m; i > 0 || j > 0; {
		here := at(i, j)
		before := int(from[here][state])
		switch state {
		case both:
			i, j = i-1, j-1
			steps = append(steps, step{i, j, i, differ[here]})
		case onlyA:
			i--
			steps = append(steps, step{i, -1, i, 0})
		default:
			j--
			steps = append(steps, step{-1, j, i, 0})
		}
		state = before
	}
	slices.Reverse(steps)
	return steps
}
