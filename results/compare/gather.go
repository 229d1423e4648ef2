package compare

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/results"
)

// Finished is a run that was made before.
type Finished struct {
	Path string // its directory, as shown to the user
	Run
}

// asked are the parts of a profile that define the question: how much was sent, and
// where. The other parts are what a comparison compares.
var asked = []string{"name", "load", "target", "network", "server", "via"}

// ignored are the parts in which two runs of the same setting may differ.
var ignored = []string{"load.seed", "question", "source", "scale", "expect", "abort_when", "remedies", "says"}

// ErrOtherQuestion means that the runs asked different questions.
var ErrOtherQuestion = errors.New("the runs asked different questions, so differences between them do not come from the settings")

// Gather sorts finished runs into arms by the fields in which their profiles
// differ; the first run's arm comes first. Runs whose load, target or name differ
// are refused with ErrOtherQuestion unless anyQuestion is set. When no field
// differs, each run is its own arm. Judge must judge the comparison afterwards.
func Gather(runs []Finished, anyQuestion bool) (*results.Comparison, error) {
	if len(runs) < 2 {
		return nil, ErrNoPairs
	}
	fields := make([]map[string]string, len(runs))
	for i, r := range runs {
		fields[i] = map[string]string{}
		if len(r.Doc.Profile) == 0 {
			if !anyQuestion {
				return nil, fmt.Errorf("%s: its document has no profile, so its question is unknown", r.Path)
			}
			continue
		}
		if err := flatten(r.Doc.Profile, fields[i]); err != nil {
			return nil, fmt.Errorf("%s: its profile: %w", r.Path, err)
		}
		fields[i]["agents"] = strconv.Itoa(max(len(r.Doc.Agents), 1)) // each has a pool of its own
	}
	differ := fieldsThatDiffer(fields)
	other := sayDifferences(slices.DeleteFunc(slices.Clone(differ), func(path string) bool { return !isWithin(path, asked) }), runs, fields)
	if other != "" && !anyQuestion {
		return nil, fmt.Errorf("%w: %s", ErrOtherQuestion, other)
	}
	c := &results.Comparison{
		Version: runs[0].Doc.Version, Name: runs[0].Doc.Name, Question: runs[0].Doc.Question,
		Start: runs[0].Doc.Start, End: runs[0].Doc.End, Confidence: defaultConfidence,
	}
	sortIntoArms(c, runs, fields, differ)
	hosts := map[string]bool{}
	for _, r := range runs {
		if r.Doc.Start.Before(c.Start) {
			c.Start = r.Doc.Start
		}
		if r.Doc.End.After(c.End) {
			c.End = r.Doc.End
		}
		if h := r.Doc.Host; h.OS != "" { // a run that was cut off may not know it
			hosts[fmt.Sprint(h.OS, h.Arch, h.Kernel, h.CPUs)] = true
		}
	}
	played := 0
	for _, r := range runs {
		if r.Doc.Forecast != nil {
			played++
		}
	}
	switch played {
	case 0:
	case len(runs):
		c.Warnings = append(c.Warnings, "everything here was forecast: no request was sent")
	default:
		c.Warnings = append(c.Warnings, fmt.Sprintf("%d of the %d runs were forecast: for these, no request was sent", played, len(runs)))
	}
	c.Warnings = append(c.Warnings, "the runs were made earlier, and may not have been interleaved: changes of the machine or the target between them look like differences of the settings")
	if len(hosts) > 1 {
		c.Warnings = append(c.Warnings, "the runs were made on different machines or kernels")
	}
	if other != "" {
		c.Warnings = append(c.Warnings, "the runs asked different questions: "+other)
	}
	if slices.Contains(differ, "agents") && slices.ContainsFunc(runs, func(r Finished) bool { return r.Doc.Lab != nil }) {
		c.Warnings = append(c.Warnings, "where several agents sent the requests, CPU per request is that of the agents, without kabench's own server")
	}
	if len(differ) == 0 {
		c.Warnings = append(c.Warnings, "the runs have the same settings: each run is compared with the first one")
	}
	return c, nil
}

// sortIntoArms gives each run its arm and block.
func sortIntoArms(c *results.Comparison, runs []Finished, fields []map[string]string, differ []string) {
	byKey, blocks := map[string]string{}, map[string]int{}
	for i, r := range runs {
		change, key := map[string]string{}, ""
		for _, path := range differ {
			value, set := fields[i][path]
			if !set {
				value = "(not set)"
			}
			change[path] = value
			key += path + "=" + value + "\n"
		}
		if len(differ) == 0 {
			key = strconv.Itoa(i)
		}
		name, known := byKey[key]
		if !known {
			name = armName(c, r, change)
			byKey[key] = name
			c.Arms = append(c.Arms, results.Arm{Name: name, Change: change})
		}
		blocks[name]++
		c.Repeats = max(c.Repeats, blocks[name])
		c.Runs = append(c.Runs, results.ComparedRun{Arm: name, Block: blocks[name], Dir: r.Path})
	}
}

// shownFields is how many fields make up a name.
const shownFields = 3

// armName is the preset's name if the presets differ, else the fields that differ
// if they are few, else the directory's name.
func armName(c *results.Comparison, r Finished, change map[string]string) string {
	name, differs := change["pool.preset"]
	if !differs {
		name, differs = change["preset"] // its older place
	}
	if !differs && len(change) > 0 && len(change) <= shownFields {
		var parts []string
		for _, path := range slices.Sorted(maps.Keys(change)) {
			parts = append(parts, path[strings.LastIndexByte(path, '.')+1:]+"="+change[path])
		}
		name = strings.Join(parts, " ")
	}
	if name == "" || name == "(not set)" || len(name) > 60 {
		name = filepath.Base(r.Path)
	}
	name = layout.OneLine(name) // it comes from a file
	taken := func(name string) bool {
		return slices.ContainsFunc(c.Arms, func(a results.Arm) bool { return a.Name == name })
	}
	unique := name
	for n := 2; taken(unique); n++ {
		unique = fmt.Sprintf("%s (%d)", name, n)
	}
	return unique
}

// fieldsThatDiffer lists the fields that are not the same in all runs, except ignored.
func fieldsThatDiffer(fields []map[string]string) []string {
	all := map[string]bool{}
	for _, f := range fields {
		for path := range f {
			all[path] = true
		}
	}
	var differ []string
	for _, path := range slices.Sorted(maps.Keys(all)) {
		if isWithin(path, ignored) {
			continue
		}
		first, has := fields[0][path]
		if slices.ContainsFunc(fields, func(f map[string]string) bool { v, found := f[path]; return v != first || found != has }) {
			differ = append(differ, path)
		}
	}
	return differ
}

func isWithin(path string, parts []string) bool {
	return slices.ContainsFunc(parts, func(part string) bool { return path == part || strings.HasPrefix(path, part+".") })
}

// mostSaid is how many fields a complaint about differences names.
const mostSaid = 4

// sayDifferences returns "load.rate is 100/s in a, and 200/s in b; load.duration is 2s,
// and 4s; 5 more differ": the runs are named once.
func sayDifferences(paths []string, runs []Finished, fields []map[string]string) string {
	var said []string
	named := 0
	for n, path := range paths {
		if n == mostSaid {
			said = append(said, fmt.Sprintf("%d more differ", len(paths)-n))
			break
		}
		i := slices.IndexFunc(fields, func(f map[string]string) bool { return f[path] != fields[0][path] })
		i = max(i, 1) // the field is empty in one, and missing in another
		value := func(i int) string { return cmp.Or(fields[i][path], "not set") }
		if i == named {
			said = append(said, fmt.Sprintf("%s is %s, and %s", path, value(0), value(i)))
			continue
		}
		named = i
		said = append(said, fmt.Sprintf("%s is %s in %s, and %s in %s", path, value(0), runs[0].Path, value(i), runs[i].Path))
	}
	return strings.Join(said, "; ")
}

// formerlyNoCap are fields in which 0 meant "no cap" in profiles of earlier
// versions; -1 means it now.
var formerlyNoCap = map[string]bool{"pool.max_conns": true, "pool.max_conns_all": true, "pool.max_requests": true}

// flatten puts the values of a profile's JSON into fields, by their dotted paths; a
// list is one value.
func flatten(profile json.RawMessage, fields map[string]string) error {
	decoder := json.NewDecoder(bytes.NewReader(profile))
	decoder.UseNumber()
	var document map[string]any
	if err := decoder.Decode(&document); err != nil {
		return err
	}
	var walk func(path string, v any) error
	walk = func(path string, v any) error {
		switch v := v.(type) {
		case map[string]any:
			for key, value := range v {
				if err := walk(strings.TrimPrefix(path+"."+key, "."), value); err != nil {
					return err
				}
			}
		case string:
			fields[path] = v
		default:
			text, err := json.Marshal(v)
			if err != nil {
				return err
			}
			if formerlyNoCap[path] && string(text) == "0" {
				text = []byte("-1")
			}
			fields[path] = string(text)
		}
		return nil
	}
	return walk("", document)
}
