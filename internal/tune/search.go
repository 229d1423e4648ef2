package tune

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"
)

// Search is what is searched for.
type Search struct {
	Axes []Axis
	// Try says what a choice of settings comes to. It is called once for each choice, by
	// one goroutine.
	Try func(ctx context.Context, set map[string]string) (Outcome, error)
	// Most is how many choices are tried at most, at least 4.
	Most int
	// Margin is the share of a value by which the recommended one stays away from where the
	// goal is missed, 0 to 1.
	Margin float64
	// Progress, if set, is called before each trial.
	Progress func(done, most int)
}

// Outcome is what one choice comes to.
type Outcome struct {
	Met  bool    // the goal is met
	Miss float64 // by how much it is missed, such as failures a day; 0 if it is met
	Cost float64
}

// Point is a choice that was tried.
type Point struct {
	Values []string // by axis
	Outcome
	Front bool // no other choice is better in one of Miss and Cost and not worse in the other
}

// Found is what a search comes to.
type Found struct {
	Points []Point // in the order in which they were tried
	Front  []Point // by cost
	// Cheapest meets the goal at the least cost, and Nearest misses it by the least; one of
	// them is nil.
	Cheapest, Nearest *Point
	// Knee is the choice on the front behind which each further step costs most for what it
	// brings.
	Knee *Point
	// Safe is Cheapest moved away from where the goal is missed, by Search.Margin. It was
	// tried too.
	Safe  *Point
	Whole bool // false: the search ended by Most before the boundary was exact
}

// Run searches. The error is Try's, or ctx's. If that has ended, what was found until then is
// returned too.
func (s *Search) Run(ctx context.Context) (*Found, error) {
	f := &Found{Whole: true}
	seen := map[string]int{}
	try := func(values []string) (*Point, error) {
		key := strings.Join(values, "\x00")
		if i, known := seen[key]; known {
			return &f.Points[i], nil
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if s.Progress != nil {
			s.Progress(len(f.Points), s.Most)
		}
		out, err := s.Try(ctx, s.set(values))
		if err != nil {
			return nil, err
		}
		seen[key] = len(f.Points)
		f.Points = append(f.Points, Point{Values: slices.Clone(values), Outcome: out})
		return &f.Points[len(f.Points)-1], nil
	}
	ended := func(err error) (*Found, error) {
		if ctx.Err() == nil {
			return nil, err
		}
		f.Whole = false
		f.judge()
		return f, err
	}
	for _, values := range s.gridOf() {
		if _, err := try(values); err != nil {
			return ended(err)
		}
	}
	for {
		next := s.proposals(f.Points, seen)
		if len(next) == 0 {
			break
		}
		if len(f.Points)+len(next) > s.Most {
			f.Whole = false
			break
		}
		for _, values := range next {
			if _, err := try(values); err != nil {
				return ended(err)
			}
		}
	}
	f.judge()
	if f.Cheapest != nil {
		safe, err := s.safe(f, try)
		if err != nil {
			return ended(err)
		}
		f.Safe = safe
		f.judge()
	}
	return f, nil
}

func (s *Search) set(values []string) map[string]string {
	set := map[string]string{}
	for i, a := range s.Axes {
		set[a.Path] = values[i]
	}
	return set
}

// gridOf is every combination of values of a grid that takes about half of the trials.
func (s *Search) gridOf() [][]string {
	per := int(math.Pow(float64(s.Most)/2, 1/float64(len(s.Axes))))
	list := [][]string{nil}
	for i := range s.Axes {
		var longer [][]string
		for _, values := range list {
			for _, value := range s.Axes[i].grid(max(per, 2)) {
				longer = append(longer, append(slices.Clone(values), value))
			}
		}
		list = longer
	}
	return list
}

// proposals are the choices that may be better than the best one so far: along each axis, its
// neighbours, and what lies between it and a neighbour that misses the goal or costs less.
func (s *Search) proposals(points []Point, seen map[string]int) [][]string {
	best := best(points)
	if best == nil {
		return nil
	}
	var list [][]string
	for axis := range s.Axes {
		for _, value := range s.neighbours(points, best, axis) {
			values := slices.Clone(best.Values)
			values[axis] = value
			i, known := seen[strings.Join(values, "\x00")]
			if !known {
				list = append(list, values)
				continue
			}
			if better(best, &points[i]) && points[i].Met {
				continue // it is worse only because it costs more
			}
			mid, differs := s.Axes[axis].between(best.Values[axis], value)
			if !differs {
				continue
			}
			values[axis] = mid
			if _, known := seen[strings.Join(values, "\x00")]; !known {
				list = append(list, values)
			}
		}
	}
	return list
}

// neighbours are the values of an axis next to that of p, among those of all points.
func (s *Search) neighbours(points []Point, p *Point, axis int) (list []string) {
	a := &s.Axes[axis]
	at := a.number(p.Values[axis])
	var below, above string
	for i := range points {
		value := points[i].Values[axis]
		switch v := a.number(value); {
		case v < at && (below == "" || v > a.number(below)):
			below = value
		case v > at && (above == "" || v < a.number(above)):
			above = value
		}
	}
	for _, value := range []string{below, above} {
		if value != "" {
			list = append(list, value)
		}
	}
	return list
}

// best is the choice that meets the goal at the least cost, or misses it by the least. Of
// equal ones it is the first.
func best(points []Point) *Point {
	var found *Point
	for i := range points {
		if p := &points[i]; found == nil || better(p, found) {
			found = p
		}
	}
	return found
}

func better(a, b *Point) bool {
	if a.Met != b.Met {
		return a.Met
	}
	if !a.Met && a.Miss != b.Miss {
		return a.Miss < b.Miss
	}
	return a.Cost < b.Cost
}

// judge finds the front, the cheapest choice or the nearest one, and the knee.
func (f *Found) judge() {
	f.Front, f.Cheapest, f.Nearest, f.Knee = nil, nil, nil, nil
	for i := range f.Points {
		p := &f.Points[i]
		p.Front = !slices.ContainsFunc(f.Points, func(o Point) bool {
			return o.Miss <= p.Miss && o.Cost <= p.Cost && (o.Miss < p.Miss || o.Cost < p.Cost)
		})
		if p.Front {
			f.Front = append(f.Front, *p)
		}
	}
	slices.SortStableFunc(f.Front, func(a, b Point) int { return cmp.Or(cmp.Compare(a.Cost, b.Cost), cmp.Compare(a.Miss, b.Miss)) })
	f.Front = slices.CompactFunc(f.Front, func(a, b Point) bool { return a.Outcome == b.Outcome })
	if p := best(f.Points); p != nil && p.Met {
		f.Cheapest = p
	} else {
		f.Nearest = p
	}
	f.Knee = knee(f.Front)
}

// knee is the point that is farthest from the line between the ends of the front, with both
// scaled to 0 to 1 (Satopää et al., Finding a "Kneedle" in a Haystack, 2011); nil with fewer
// than three points.
func knee(front []Point) *Point {
	if len(front) < 3 {
		return nil
	}
	first, last := front[0], front[len(front)-1]
	var found *Point
	most := 0.0
	for i := range front {
		p := &front[i]
		x := (p.Cost - first.Cost) / (last.Cost - first.Cost)
		y := (p.Miss - last.Miss) / (first.Miss - last.Miss)
		if away := 1 - x - y; away > most {
			found, most = p, away
		}
	}
	return found
}

// safe moves the cheapest choice away from the nearest one that misses the goal, along each
// axis on which there is one, and tries it. If that misses the goal it stays.
func (s *Search) safe(f *Found, try func([]string) (*Point, error)) (*Point, error) {
	p := *f.Cheapest
	values := slices.Clone(p.Values)
	for axis := range s.Axes {
		at := s.Axes[axis].number(p.Values[axis])
		for _, o := range f.Points {
			same := true
			for j := range s.Axes {
				same = same && (j == axis || o.Values[j] == p.Values[j])
			}
			if !same || o.Met {
				continue
			}
			share := s.Margin
			if s.Axes[axis].number(o.Values[axis]) > at {
				share = -share
			}
			values[axis] = s.Axes[axis].back(p.Values[axis], share)
		}
	}
	moved, err := try(values)
	if err != nil {
		return nil, err
	}
	if moved.Met {
		copied := *moved
		return &copied, nil
	}
	return &p, nil
}
