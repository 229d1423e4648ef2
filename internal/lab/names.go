package lab

import (
	"fmt"
	"strings"
)

// nameOf is the name of v, one of a kind whose values are counted from 0.
func nameOf[T ~uint8](names []string, v T) string {
	if int(v) < len(names) {
		return names[v]
	}
	return fmt.Sprintf("unknown(%d)", uint8(v))
}

// readName sets v to the value that text names; an unknown name is an error
// that lists them all.
func readName[T ~uint8](names []string, text []byte, v *T) error {
	for i, name := range names {
		if string(text) == name {
			*v = T(i)
			return nil
		}
	}
	return fmt.Errorf("%q is none of %s", text, strings.Join(names, ", "))
}
