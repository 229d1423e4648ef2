package results

import "strings"

// Nearest is the candidate that is the fewest slips of the finger away from
// word, the first of several; "" when none is near enough to be meant. A slip
// is a character too many, one left out, a wrong one, or two swapped. Case does
// not matter.
func Nearest(word string, candidates []string) string {
	best, least := "", min(2, len(word)/2)+1
	if len(word) >= 9 {
		least = len(word)/3 + 1
	}
	for _, c := range candidates {
		if max(len(word)-len(c), len(c)-len(word)) >= least {
			continue // so many slips at least, and a word may be very long
		}
		if d := slips(strings.ToLower(word), strings.ToLower(c)); d < least {
			best, least = c, d
		}
	}
	return best
}

// slips counts the characters to insert, leave out, replace or swap with their
// neighbour to make b of a.
func slips(a, b string) int {
	var before, last []int // the rows for i-2 and i-1 characters of a
	for i := 0; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		for j := range row {
			switch {
			case i == 0:
				row[j] = j
				continue
			case j == 0:
				row[j] = i
				continue
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+b2i(a[i-1] != b[j-1]))
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
