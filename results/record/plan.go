package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/kabench/kabench/results"
)

// Unfold replaces each directory of a catalogue by the directories of its incidents
// that have results. Other directories stay in the list. The notes say which incidents
// have no results, one sentence for each catalogue.
func Unfold(dirs []string) (unfolded, notes []string, err error) {
	for _, dir := range dirs {
		plan, err := OpenPlan(dir)
		switch {
		case missing(err) || err == nil && plan.Kind != results.KindCatalogue:
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

// SavePlan writes p to dir, which must exist, as plan.json, completely or not at all.
func SavePlan(dir string, p *results.Plan) error {
	p.Schema = results.PlanSchema
	var b bytes.Buffer
	if err := encode(&b, p); err != nil {
		return fmt.Errorf("writing %s: %w", filePlan, err)
	}
	return writeWhole(dir, filePlan, b.Bytes())
}

// OpenPlan reads the plan.json of dir. The error is os.ErrNotExist when there is
// none, and ErrNewerSchema when a newer kabench made it.
func OpenPlan(dir string) (*results.Plan, error) {
	path := filepath.Join(dir, filePlan)
	data, err := readDocument(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	p := &results.Plan{}
	if err == nil {
		err = checkSchema(data, results.PlanSchema, "plan")
	}
	if err == nil {
		err = json.Unmarshal(data, p)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, withoutPath(err))
	}
	return p, nil
}

// PlanPath is the path of plan.json in dir.
func PlanPath(dir string) string { return filepath.Join(dir, filePlan) }

// maxSlug is the longest Slug, in bytes. A file name may have 255 bytes, and it also
// contains a time and more.
const maxSlug = 120

// Slug makes name fit to be a part of a file name, a directory name or a link. It keeps
// letters and digits of any script, and the characters in keep. It replaces every other
// character by a dash.
func Slug(name, keep string) string {
	var b strings.Builder
	for _, r := range norm.NFC.String(name) { // otherwise two names that look the same could differ
		switch {
		case r == utf8.RuneError:
			r = '-'
		case unicode.IsLetter(r), unicode.IsDigit(r), strings.ContainsRune(keep, r):
		case unicode.IsMark(r) && b.Len() > 0: // for example vowels in the scripts of India
		default:
			r = '-'
		}
		if b.Len()+utf8.RuneLen(r) > maxSlug {
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}
