package wording

import (
	"cmp"
	"slices"
)

// Nearest lists the n wordings that are most like an unknown text, by the share of
// their letter triples in it. It leaves out wordings that have nothing in common with
// the text.
func Nearest(s string, n int) []Wording {
	have := triples(newText(normalise(unwrap(s[:min(len(s), MaxText)]))).flat)
	type near struct {
		Wording
		share float64
	}
	var list []near
	seen := map[string]bool{}
	for _, w := range known().wordings {
		want := triples(normalise(display(w.Pattern))) // without the class: every Java text has java.io and Exception
		common := 0
		for triple := range want {
			if have[triple] {
				common++
			}
		}
		if w.Silent || w.code != "" || common < 4 || seen[w.Text] {
			continue
		}
		seen[w.Text] = true
		// A text may be longer than the pattern or a part of it. Of two patterns that cover
		// it equally, the one with fewer other letters is nearer.
		share := float64(common)/float64(min(len(want), max(len(have), 8))) + float64(common)/float64(len(want)+len(have))
		list = append(list, near{w, share * min(1, float64(common)/12)})
	}
	slices.SortStableFunc(list, func(a, b near) int { return cmp.Compare(b.share, a.share) })
	var nearest []Wording
	for _, l := range list[:min(n, len(list))] {
		if l.share >= 0.3 {
			nearest = append(nearest, l.Wording)
		}
	}
	return nearest
}

func triples(s string) map[string]bool {
	set := map[string]bool{}
	for i := 3; i <= len(s); i++ {
		set[s[i-3:i]] = true
	}
	return set
}
