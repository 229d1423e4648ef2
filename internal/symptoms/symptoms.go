// Package symptoms finds the incidents of the library by what a user sees: a phase and a cause, a
// status, a kernel's state, a line of a client's log, or words of the question.
package symptoms

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/kabench/kabench/internal/nearest"
	"github.com/kabench/kabench/internal/wording"
	"github.com/kabench/kabench/profiles"
)

// Match is an incident that shows a symptom.
type Match struct {
	Name    string
	Because string // what the incident and the symptom have in common
	rank    rank
}

// rank orders matches: the first is the surest.
type rank uint8

const (
	named    rank = iota // the incident is called so
	signed               // its signature demands it
	worded               // a client writes this text, and its meaning names the incident
	outcomes             // a client writes this text for an outcome that the signature demands
	told                 // the words are in its question or its verdict
)

// Find lists the incidents that show the symptom, the surest first; none if it knows none.
func Find(symptom string) ([]Match, error) {
	all, err := incidents()
	if err != nil {
		return nil, err
	}
	symptom = symptom[:min(len(symptom), wording.MaxText)]
	words, texts := wanted(symptom), known(symptom)
	if len(words) == 0 {
		return nil, nil
	}
	var found []Match
	for _, i := range all {
		if m, ok := i.match(words, texts); ok {
			found = append(found, m)
		}
	}
	slices.SortStableFunc(found, func(a, b Match) int { return cmp.Compare(a.rank, b.rank) })
	return found, nil
}

// mostWords is how many words of a symptom are compared with those of incidents that are not found:
// a user may pass a whole stack trace.
const mostWords = 20

// Nearest lists at most n incidents that have words like those of a symptom that no incident
// shows.
func Nearest(symptom string, n int) ([]string, error) {
	all, err := incidents()
	if err != nil {
		return nil, err
	}
	type near struct {
		name   string
		common int
	}
	words := wanted(symptom)
	words = words[:min(len(words), mostWords)]
	var list []near
	for _, i := range all {
		common := 0
		for _, w := range words {
			if len(w) > 3 && nearest.Name(w, i.vocabulary) != "" { // shorter words are like many
				common++
			}
		}
		if common > 0 {
			list = append(list, near{i.name, common})
		}
	}
	slices.SortStableFunc(list, func(a, b near) int { return cmp.Compare(b.common, a.common) })
	var names []string
	for _, one := range list[:min(n, len(list))] {
		names = append(names, one.name)
	}
	return names, nil
}

// incident has the words of an incident of the library.
type incident struct {
	name       string
	signature  []sign
	vocabulary []string // the words of its name, its signature, its question and its verdict
}

// sign is a condition of a signature that demands that something happens.
type sign struct {
	path  string
	words []string
}

func incidents() ([]incident, error) {
	var all []incident
	for _, e := range profiles.Incidents() {
		p, err := profiles.Load(e.Name, []byte(e.Text), nil)
		if err != nil {
			return nil, err
		}
		i := incident{name: e.Name, vocabulary: slices.Concat(wordsOf(e.Name), wordsOf(p.Question), wordsOf(p.Says.Happened), wordsOf(p.Says.Set))}
		for _, path := range slices.Sorted(maps.Keys(p.Expect)) {
			if p.Expect[path] == "0" {
				continue // it demands that this does not happen
			}
			s := sign{path, wordsOf(path)}
			i.signature = append(i.signature, s)
			i.vocabulary = append(i.vocabulary, s.words...)
		}
		all = append(all, i)
	}
	return all, nil
}

// match compares the incident with a symptom: its words, and the texts of clients that it may
// be.
func (i incident) match(words []string, texts []wording.Candidate) (Match, bool) {
	if hasAll(wordsOf(i.name), words) {
		return Match{i.name, "its name", named}, true
	}
	for _, s := range i.signature {
		if hasAll(s.words, words) {
			return Match{i.name, "its signature: " + s.path, signed}, true
		}
	}
	for _, text := range texts {
		if slices.Contains(text.Incidents, i.name) {
			return Match{i.name, text.ClientName + " writes: " + text.Text, worded}, true
		}
	}
	for _, text := range texts {
		for _, o := range text.Outcomes {
			path := fmt.Sprintf("failures.%v.%v", o.Phase, o.Cause)
			if slices.ContainsFunc(i.signature, func(s sign) bool { return s.path == path }) {
				return Match{i.name, text.ClientName + " writes: " + text.Text + "; its signature: " + path, outcomes}, true
			}
		}
	}
	if hasAll(i.vocabulary, words) {
		return Match{i.name, "its question and verdict", told}, true
	}
	return Match{}, false
}

// shortText is how many bytes a text needs so that its words can be a client's.
const shortText = 8

// known lists the texts of clients that a symptom may be. A few words that many clients write are
// none.
func known(symptom string) []wording.Candidate {
	if len(strings.TrimSpace(symptom)) < shortText {
		return nil
	}
	return slices.DeleteFunc(wording.Explain(symptom), func(c wording.Candidate) bool { return c.Vague })
}

// wanted returns the words of a symptom that an incident must have. Of one with a status of an
// error only the status counts: HTTP 502 Bad Gateway.
func wanted(symptom string) []string {
	words := wordsOf(symptom)
	for _, w := range words {
		if status, err := strconv.Atoi(w); err == nil && status >= 400 && http.StatusText(status) != "" {
			return []string{w}
		}
	}
	return words
}

// wordsOf splits a text into words, in small letters. A plural that ends with s counts as the
// singular: a signature has proxy.connect_timeouts.
func wordsOf(text string) []string {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	for i, w := range words {
		switch {
		case w == "reset":
			words[i] = "rst"
		case len(w) > 3 && !strings.HasSuffix(w, "ss") && !strings.HasSuffix(w, "us"):
			words[i] = strings.TrimSuffix(w, "s")
		}
	}
	return words
}

func hasAll(all, words []string) bool {
	return !slices.ContainsFunc(words, func(w string) bool { return !slices.Contains(all, w) })
}
