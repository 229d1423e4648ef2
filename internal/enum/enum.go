// Package enum gives types whose values are counted from 0 their texts, as they
// stand in YAML and JSON. A type keeps a table of its names and three methods of
// one line:
//
//	type Order uint8
//
//	const (
//		LIFO Order = iota
//		FIFO
//	)
//
//	var orders = enum.Names[Order]{"lifo", "fifo"}
//
//	func (o Order) String() string                   { return orders.Text(o) }
//	func (o Order) MarshalText() ([]byte, error)     { return orders.Marshal(o) }
//	func (o *Order) UnmarshalText(text []byte) error { return orders.Unmarshal(text, o) }
package enum

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kabench/kabench/internal/nearest"
)

// Names are the names of a type's values, in the order of the values.
type Names[T ~uint8] []string

// Known reports whether v has a name.
func (n Names[T]) Known(v T) bool { return int(v) < len(n) }

// Text returns the name of v, and unknown(9) for a value 9 without a name.
func (n Names[T]) Text(v T) string {
	if n.Known(v) {
		return n[v]
	}
	return fmt.Sprintf("unknown(%d)", uint8(v))
}

// Parse returns the value with this name. The error for an unknown name lists the
// known names, and suggests one if text looks like a misspelling of it.
func (n Names[T]) Parse(text string) (T, error) {
	i := slices.Index(n, text)
	if i >= 0 {
		return T(i), nil
	}
	suggestion := ""
	if near := nearest.Name(text, n); near != "" {
		suggestion = "; did you mean " + near + "?"
	}
	return 0, fmt.Errorf("%q is none of %s%s", text, n.List(), suggestion)
}

// List returns the names as an error message lists them. A value whose name is
// empty is left out.
func (n Names[T]) List() string {
	named := slices.DeleteFunc(slices.Clone(n), func(name string) bool { return name == "" })
	return strings.Join(named, ", ")
}

// Marshal is MarshalText for v: the text that Text returns.
func (n Names[T]) Marshal(v T) ([]byte, error) { return []byte(n.Text(v)), nil }

// Unmarshal is UnmarshalText for v. It leaves v alone if the name is unknown.
func (n Names[T]) Unmarshal(text []byte, v *T) error {
	parsed, err := n.Parse(string(text))
	if err == nil {
		*v = parsed
	}
	return err
}
