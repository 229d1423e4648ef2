package results

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// Unfold puts the directories of its incidents, those that have results, in the
// place of each directory of a catalogue. The others stay. The notes say which
// incidents have none, a sentence each.
func Unfold(dirs []string) (unfolded, notes []string, err error) {
	for _, dir := range dirs {
		plan, err := OpenPlan(dir)
		switch {
		case missing(err) || err == nil && plan.Kind != KindCatalogue:
			unfolded = append(unfolded, dir)
			continue
		case err != nil:
			return nil, nil, err
		}
		var without []string
		found := 0
		for _, name := range plan.Incidents {
			_, err := OpenReproduction(filepath.Join(dir, name))
			switch {
			case err == nil:
				unfolded = append(unfolded, filepath.Join(dir, name))
				found++
			case errors.Is(err, fs.ErrNotExist):
				without = append(without, name)
			default:
				return nil, nil, err
			}
		}
		if found == 0 {
			return nil, nil, fmt.Errorf("%s: none of its %d incidents was run to its end: run 'kabench reproduce --all' again", dir, len(plan.Incidents))
		}
		if len(without) > 0 {
			notes = append(notes, fmt.Sprintf("%s: %d of %d incidents have no results: %s", dir, len(without), len(plan.Incidents), strings.Join(without, ", ")))
		}
	}
	return unfolded, notes, nil
}
