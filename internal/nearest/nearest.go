// Package nearest finds the known name that a mistyped word was meant to be.
package nearest

import "strings"

// Name returns the candidate that takes the fewest typing mistakes to turn into
// word, the first of several; "" if none takes few enough. A typing mistake is a
// character too many, a missing one, a wrong one, or two neighbours swapped. Case
// does not matter.
func Name(word string, candidates []string) string {
	best, least := "", min(2, len(word)/2)+1
	if len(word) >= 9 {
		least = len(word)/3 + 1
	}
	for _, c := range candidates {
		if max(len(word)-len(c), len(c)-len(word)) >= least {
			continue // the lengths alone differ by too much; a word may be very long
		}
		if d := mistakes(strings.ToLower(word), strings.ToLower(c)); d < least {
			best, least = c, d
		}
	}
	return best
}

// mistakes counts the characters to insert, leave out, replace or swap with a
// neighbour to turn a into b.
func mistakes(a, b string) int {
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
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+different(a[i-1], b[j-1]))
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

func different(a, b byte) int {
	if a != b {
		return 1
	}
	return 0
}
