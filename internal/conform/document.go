package conform

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// Schema names the form of a Document.
const Schema = "kabench.conform/v1"

// Document is what 'kabench conform' prints with --json, and keeps beside the page that
// it writes.
type Document struct {
	Schema  string   `json:"schema"`
	Kabench string   `json:"kabench"` // its version
	Counts  Counts   `json:"counts"`
	Reports []Report `json:"reports"`
}

// NewDocument makes a document of reports.
func NewDocument(version string, reports []Report) Document {
	if reports == nil {
		reports = []Report{}
	}
	return Document{Schema, version, Count(reports...), reports}
}

// Encode writes d as JSON.
func (d Document) Encode(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	e.SetEscapeHTML(false)
	return e.Encode(d)
}

// Read reads a document. A file that is not there is an empty document.
func Read(path string) (Document, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return NewDocument("", nil), nil
	}
	if err != nil {
		return Document{}, err
	}
	var d Document
	if err := json.Unmarshal(data, &d); err != nil {
		return d, fmt.Errorf("%s: %w", path, err)
	}
	if d.Schema != Schema {
		return d, fmt.Errorf("%s: its schema is %q, and this kabench reads %s", path, d.Schema, Schema)
	}
	for i := range d.Reports {
		d.Reports[i].expand()
	}
	return d, nil
}

// expand makes results of the stories that agree, in the order of the stories.
func (r *Report) expand() {
	var agree []Result
	for _, s := range Stories() {
		if slices.Contains(r.Agree, s.Name) {
			agree = append(agree, Result{Story: s.Name, Asks: s.Asks, About: s.About, Verdict: Agrees, Differences: []Difference{}})
		}
	}
	r.Results, r.Agree = merged(r.Results, agree), nil
}

// Kept returns d as it is kept beside a page: without the plays, and with the names of the
// stories that agree.
func (d Document) Kept() Document {
	kept := d
	kept.Reports = nil
	for _, r := range d.Reports {
		all := r.Results
		r.Results = []Result{}
		for _, one := range all {
			if one.Verdict == Agrees {
				r.Agree = append(r.Agree, one.Story)
				continue
			}
			one.Client, one.Preset = nil, nil
			r.Results = append(r.Results, one)
		}
		kept.Reports = append(kept.Reports, r)
	}
	return kept
}

// With returns a document with the reports of d and those of others. A report takes the
// place of the one of the same driver and preset. If the client's version is
// the same, it keeps the results of the stories that were not played again.
func (d Document) With(version string, others []Report) Document {
	all := slices.Clone(d.Reports)
	for _, r := range others {
		same := func(o Report) bool { return o.Driver == r.Driver && o.Preset == r.Preset }
		if i := slices.IndexFunc(all, same); i >= 0 {
			if r.Error != "" {
				continue // what was played before still holds
			}
			if all[i].Version == r.Version && all[i].Runtime == r.Runtime {
				r.Results = merged(all[i].Results, r.Results)
			}
			all[i] = r
		} else {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b Report) int {
		return cmp.Or(strings.Compare(a.Driver, b.Driver), strings.Compare(a.Preset, b.Preset))
	})
	return NewDocument(version, all)
}

// merged returns the results in the order of the stories: the new one where there is one.
// A story that kabench does not have any more is left out, and one that was not played
// does not replace a result.
func merged(old, new []Result) (list []Result) {
	for _, s := range Stories() {
		named := func(r Result) bool { return r.Story == s.Name }
		i, j := slices.IndexFunc(old, named), slices.IndexFunc(new, named)
		switch {
		case j >= 0 && (new[j].Verdict != NotPlayed || i < 0):
			list = append(list, new[j])
		case i >= 0:
			list = append(list, old[i])
		}
	}
	return list
}

// The marks between which Insert writes.
const (
	beginMark = "<!-- conform -->"
	endMark   = "<!-- /conform -->"
)

// Insert returns page with table between its marks.
func Insert(page, table string) (string, error) {
	before, rest, begins := strings.Cut(page, beginMark)
	_, after, ends := strings.Cut(rest, endMark)
	if !begins || !ends {
		return "", fmt.Errorf("it has no place for the table: a line %s and, below it, a line %s", beginMark, endMark)
	}
	return before + beginMark + "\n" + strings.TrimSpace(table) + "\n" + endMark + after, nil
}
