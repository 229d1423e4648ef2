package export

import (
	"cmp"
	"encoding/csv"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// RunsCSV writes a header and a row for each run of all, including invalid runs and
// runs that a comparison left out. A row names the run, says whether it is valid, and
// has the figures that [Bench] writes. The figures have the same names as in Bench,
// except that times are in seconds. A value that the run does not have is empty.
func RunsCSV(w io.Writer, all ...*record.Archive) (notes []string, err error) {
	changed := map[string]bool{}
	for _, k := range all {
		notes = append(notes, k.Notes...)
		for _, r := range k.Runs {
			for path := range r.Change {
				changed[path] = true
			}
		}
	}
	paths := slices.Sorted(maps.Keys(changed))
	text := func(s string) string { return cellText(layout.Clean(s, maxSentence)) }
	out := csv.NewWriter(w)
	head := []string{"report", "kind", "arm", "block", "start", "valid", "excluded", "due", "started", "ok", "failed"}
	for _, u := range benchUnits {
		head = append(head, csvUnit(u.unit))
	}
	if err := out.Write(append(head, paths...)); err != nil {
		return nil, err
	}
	for _, k := range all {
		for _, r := range k.Runs {
			run := cmp.Or(r.Run, &results.Run{})
			c := run.Counts
			number := func(n uint64) string { return strconv.FormatUint(n, 10) }
			row := []string{
				text(k.Title()), k.Kind(), text(r.Name), strconv.Itoa(r.Block), run.Start.UTC().Format(time.RFC3339Nano),
				strconv.FormatBool(run.Valid), text(cmp.Or(r.Excluded, whyUnusable(&r))), number(c.Due), number(c.Started), number(c.OK), number(c.Failed),
			}
			for _, u := range benchUnits {
				cell := ""
				if v, known := u.of(run); known {
					if csvUnit(u.unit) != u.unit {
						v /= 1e9
					}
					cell = strconv.FormatFloat(v, 'g', -1, 64)
				}
				row = append(row, cell)
			}
			for _, path := range paths {
				row = append(row, text(r.Change[path]))
			}
			if err := out.Write(row); err != nil {
				return nil, err
			}
		}
	}
	out.Flush()
	return notes, out.Error()
}

// csvUnit returns a unit as the head of a column: times in a column are in seconds.
func csvUnit(unit string) string {
	return strings.Replace(unit, "-ns", "-s", 1)
}
