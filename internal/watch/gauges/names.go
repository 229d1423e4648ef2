// Package gauges reads what a service's connection pool says about itself from an endpoint for
// Prometheus: connections that are idle and leased, requests that wait, and the most there may be.
package gauges

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
)

//go:embed names.txt
var names string

// client is a client or a library, as names.txt describes it.
type client struct {
	name   string
	pool   []string // labels
	target []string // labels: an address, and a port or nothing
}

// field is the property of a pool that a metric has.
type field uint8

const (
	idle field = iota
	leased
	open
	pending
	most
	free
	fields
)

var fieldNames = [fields]string{"idle", "leased", "open", "pending", "max", "free"}

// meaning is what a series of a metric means if it has these labels.
type meaning struct {
	client *client
	field  field
	labels [][2]string
}

// table has the meanings by the name of the metric.
type table map[string][]meaning

// known is names.txt.
var known = func() table {
	t, err := parseNames(names)
	if err != nil {
		panic(err) // the file is a part of the program, and a test reads it
	}
	return t
}()

// parseNames reads a file of names.
func parseNames(text string) (table, error) {
	t := table{}
	var c *client
	line := 0
	for row := range strings.Lines(text) {
		line++
		words := strings.Fields(row)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		bad := func(why string) error { return fmt.Errorf("names.txt:%d: %s: %s", line, strings.TrimSpace(row), why) }
		switch {
		case len(words) < 2:
			return nil, bad("want a word and what it is")
		case words[0] == "client":
			c = &client{name: strings.Join(words[1:], " ")}
		case c == nil:
			return nil, bad("the first line names a client")
		case words[0] == "pool":
			c.pool = words[1:]
		case words[0] == "target":
			if len(words) > 3 {
				return nil, bad("want the label of an address and of a port")
			}
			c.target = words[1:]
		default:
			f := slices.Index(fieldNames[:], words[0])
			if f < 0 {
				return nil, bad("want client, pool, target, " + strings.Join(fieldNames[:], ", "))
			}
			m := meaning{client: c, field: field(f)}
			for _, w := range words[2:] {
				label, value, ok := strings.Cut(w, "=")
				if !ok {
					return nil, bad("want label=value")
				}
				m.labels = append(m.labels, [2]string{label, value})
			}
			t[words[1]] = append(t[words[1]], m)
		}
	}
	return t, nil
}
