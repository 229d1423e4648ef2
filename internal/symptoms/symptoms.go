// Package symptoms finds the incidents of the library by what a user sees: a phase and a cause, a
// status, a kernel's state, a line of a client's log, or words of the question.
package symptoms

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"regexp"
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
	both                 // a client writes this text, its meaning names the incident, and the signature demands its outcome
	worded               // a client writes this text, and its meaning names the incident
	outcomes             // a client writes this text for an outcome that the signature demands
	gateway              // another proxy answers with another status for the same reason
	told                 // the words are in its question or its verdict
	grouped              // they are in the title of its group
)

// Find lists the incidents that show the symptom, the surest first; none if it knows none.
func Find(symptom string) ([]Match, error) {
	all, err := incidents()
	if err != nil {
		return nil, err
	}
	symptom = symptom[:min(len(symptom), wording.MaxText)]
	words := wanted(symptom)
	if len(words) == 0 {
		return nil, nil
	}
	sure, unsure := known(symptom)
	found := matches(all, words, sure)
	if !slices.ContainsFunc(found, func(m Match) bool { return m.rank < told }) {
		found = matches(all, words, unsure)
	}
	slices.SortStableFunc(found, func(a, b Match) int { return cmp.Compare(a.rank, b.rank) })
	return found, nil
}

func matches(all []incident, words []string, texts []wording.Candidate) (found []Match) {
	for _, i := range all {
		if m, ok := i.match(words, texts); ok {
			found = append(found, m)
		}
	}
	return found
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
	group      []string // the words of its group's title
	title      string
	signature  []sign
	told       [][]string // the words of its question and of its verdict
	vocabulary []string   // the words of its name, its signature, its question and its verdict
}

// sign is a condition of a signature that demands that something happens.
type sign struct {
	path  string
	words []string
	whose string // the signature, or that of a remedy
}

func incidents() ([]incident, error) {
	var all []incident
	for _, e := range profiles.Incidents() {
		p, err := profiles.Load(e.Name, []byte(e.Text), nil)
		if err != nil {
			return nil, err
		}
		i := incident{name: e.Name, title: e.Group.Title(), group: wordsOf(e.Group.Title()), vocabulary: wordsOf(e.Name)}
		for _, text := range []string{p.Question, p.Says.Happened, p.Says.Set} {
			i.told = append(i.told, wordsOf(text))
		}
		i.vocabulary = slices.Concat(append([][]string{i.vocabulary}, i.told...)...)
		for _, path := range slices.Sorted(maps.Keys(p.Expect)) {
			if p.Expect[path] == "0" {
				continue // it demands that this does not happen
			}
			s := sign{path, wordsOf(path), "its signature: "}
			i.signature = append(i.signature, s)
			i.vocabulary = append(i.vocabulary, s.words...)
		}
		for _, r := range p.Remedies { // one may show an error that the incident hides
			for _, path := range slices.Sorted(maps.Keys(r.Expect)) {
				if strings.HasPrefix(path, "statuses.") && r.Expect[path] != "0" {
					i.signature = append(i.signature, sign{path, wordsOf(path), "its remedy '" + r.Name + "': "})
				}
			}
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
			return Match{i.name, s.whose + s.path, signed}, true
		}
	}
	best := Match{rank: grouped + 1}
	for _, text := range texts {
		m := Match{i.name, text.ClientName + " writes: " + text.Text, grouped + 1}
		if slices.Contains(text.Incidents, i.name) {
			m.rank = worded
		}
		for _, o := range text.Outcomes {
			path := fmt.Sprintf("failures.%v.%v", o.Phase, o.Cause)
			if slices.ContainsFunc(i.signature, func(s sign) bool { return s.path == path }) {
				m.Because += "; its signature: " + path
				m.rank = map[rank]rank{worded: both, grouped + 1: outcomes}[m.rank]
				break
			}
		}
		if m.rank < best.rank {
			best = m
		}
	}
	if best.rank <= grouped {
		return best, true
	}
	if len(words) == 1 && gateways[words[0]] {
		for _, s := range i.signature {
			if status, ok := strings.CutPrefix(s.path, "statuses."); ok && gateways[status] {
				return Match{i.name, s.whose + s.path + ", for which other proxies answer " + words[0], gateway}, true
			}
		}
	}
	switch {
	case len(words) == 2 && slices.ContainsFunc(i.told, func(told []string) bool { return near(told, words[0], words[1]) }),
		len(words) != 2 && hasAll(i.vocabulary, words):
		return Match{i.name, "its question and verdict", told}, true
	case hasAll(i.group, words) && slices.ContainsFunc(words, func(w string) bool { return len(w) > 3 }):
		return Match{i.name, "its group: " + i.title, grouped}, true
	}
	return Match{}, false
}

// gateways are the statuses that proxies answer if a request to their server fails: for the
// same failure nginx has 502 or 504, Envoy 503.
var gateways = map[string]bool{"502": true, "503": true, "504": true}

// nearWords is how many words may stand between two that belong together: those of a clause.
const nearWords = 7

// near reports whether second follows first in text, with at most nearWords between them. Two
// words that a sentence has far apart, such as connection and refused, mean something else.
func near(text []string, first, second string) bool {
	for i, w := range text {
		if w == first && slices.Contains(text[i+1:min(i+2+nearWords, len(text))], second) {
			return true
		}
	}
	return false
}

// shortText is how many bytes a text needs so that its words can be a client's.
const shortText = 8

// flags are response flags of Envoy without the line of the log that they stand in.
var flags = regexp.MustCompile(`^[A-Z]{2,3}(,[A-Z]{2,3})*$`)

// known lists the texts of clients that a symptom may be: those that it surely is, and those that it
// may be if nothing else shows it, because it is short.
func known(symptom string) (sure, unsure []wording.Candidate) {
	symptom = strings.TrimSpace(symptom)
	unsure = wording.Explain(symptom)
	if flags.MatchString(symptom) {
		unsure = append(unsure, ofEnvoy(symptom)...)
	}
	if symptom == "503" {
		return ofEnvoy("UC"), nil // what it answers when a kept connection has ended
	}
	if len(symptom) >= shortText {
		sure = slices.DeleteFunc(slices.Clone(unsure), func(c wording.Candidate) bool { return c.Vague })
	}
	return sure, unsure
}

// ofEnvoy lists the texts of Envoy that have these response flags.
func ofEnvoy(flags string) []wording.Candidate {
	return slices.DeleteFunc(wording.Explain("response_flags: "+flags), func(c wording.Candidate) bool { return c.Client != "envoy" })
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
// singular: a signature has proxy.connect_timeouts. So do other words for the same: a restart is a deploy.
func wordsOf(text string) []string {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	for i, w := range words {
		switch {
		case w == "reset":
			words[i] = "rst"
		case slices.Contains([]string{"deployment", "redeploy", "restart", "rollout"}, strings.TrimSuffix(w, "s")):
			words[i] = "deploy"
		case len(w) > 3 && !strings.HasSuffix(w, "ss") && !strings.HasSuffix(w, "us"):
			words[i] = strings.TrimSuffix(w, "s")
		}
	}
	return words
}

func hasAll(all, words []string) bool {
	return !slices.ContainsFunc(words, func(w string) bool { return !slices.Contains(all, w) })
}
