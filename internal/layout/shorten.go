package layout

import (
	"fmt"
	"slices"
)

const ellipsis = "..."

// Shorten returns names of no more than most characters; most is at least 10. A longer
// name loses the beginning or end that all names share: http://h/delay/1000 and
// http://h/delay/1100 keep their ends. Names that differ stay different.
func Shorten(names []string, most int) []string {
	var different [][]rune
	for _, name := range names {
		if r := []rune(name); !slices.ContainsFunc(different, func(o []rune) bool { return slices.Equal(o, r) }) {
			different = append(different, r)
		}
	}
	begin, end := alike(different)
	short := make([]string, len(names))
	taken := map[string]string{} // by what it stands for
	for i, name := range names {
		short[i] = shortened([]rune(name), begin, end, most)
		for n := 2; ; n++ {
			other, found := taken[short[i]]
			if !found || other == name {
				break
			}
			mark := fmt.Sprintf("#%d", n)
			r := []rune(shortened([]rune(name), begin, end, most))
			short[i] = string(r[:min(len(r), most-len(mark))]) + mark
		}
		taken[short[i]] = name
	}
	return short
}

// alike is how many characters the names have in common at their beginnings and at
// their ends. Of a single name nothing is known to be alike.
func alike(names [][]rune) (begin, end int) {
	if len(names) < 2 {
		return 0, 0
	}
	first := names[0]
	begin, end = len(first), len(first)
	for _, name := range names[1:] {
		n := 0
		for n < min(begin, len(name)) && name[n] == first[n] {
			n++
		}
		begin = n
		n = 0
		for n < min(end, len(name)) && name[len(name)-1-n] == first[len(first)-1-n] {
			n++
		}
		end = n
	}
	return begin, end
}

// shortened keeps of a long name what lies between begin and end, and as much
// beside it as there is room for.
func shortened(name []rune, begin, end, most int) string {
	if len(name) <= most {
		return string(name)
	}
	room := most - len(ellipsis)
	from, to := min(begin, len(name)), max(len(name)-end, min(begin, len(name)))
	switch inside := room - len(ellipsis); {
	case len(name)-from <= room: // what differs is at the end
		return ellipsis + string(name[len(name)-room:])
	case to <= room: // at the beginning
		return string(name[:room]) + ellipsis
	case to-from <= inside: // between
		start := min(max(from-(inside-(to-from))/2, 1), len(name)-inside)
		return ellipsis + string(name[start:start+inside]) + ellipsis
	}
	// What differs is itself too long: its ends.
	head := room / 2
	return string(name[:head]) + ellipsis + string(name[len(name)-(room-head):])
}
