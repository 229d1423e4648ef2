package main

import (
	"fmt"
	"os"
	"strings"
)

// mark returns the lines of a document between which the table of a scenario stands.
func mark(scenario string) (begin, end string) {
	return "<!-- bench " + scenario + " -->\n", "<!-- /bench " + scenario + " -->\n"
}

// placeIn puts the tables of this run into a document, each between its marks. Tables of
// scenarios that were not measured, or not completely, stay as they are.
func (r *report) placeIn(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text := string(data)
	for _, sc := range r.scenarios {
		if !r.whole(sc) {
			continue
		}
		var table strings.Builder
		p := &printer{w: &table}
		r.table(p, sc)
		p.linef("\n%s", r.made(sc))
		begin, end := mark(sc.name)
		before, rest, found := strings.Cut(text, begin)
		_, after, ended := strings.Cut(rest, end)
		if !found || !ended {
			return fmt.Errorf("%s has no place for the table of %s; add these lines:\n%s%s", path, sc.name, begin, end)
		}
		text = before + begin + "\n" + table.String() + "\n" + end + after
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

// whole reports whether a scenario has all its repeats.
func (r *report) whole(sc scenario) bool {
	if !r.Interrupted && r.Failed == "" {
		for _, s := range r.Samples {
			if s.Scenario == sc.name {
				return true
			}
		}
	}
	return false
}

// made says in one paragraph when, where and how the figures of a scenario were measured, with
// which programs, and which are missing.
func (r *report) made(sc scenario) string {
	var with []string
	for _, prog := range r.Programs {
		for _, s := range r.Samples {
			if s.Scenario == sc.name && s.Tool == prog.Tool {
				with = append(with, prog.Tool+" ("+prog.From+")")
				break
			}
		}
	}
	text := fmt.Sprintf("Measured on %s: %s, %d cores, %s, %s; %s; %s.", r.Date.UTC().Format("2006-01-02"), orUnknown(r.Machine.CPU),
		r.Machine.Cores, r.Machine.System, r.Machine.Go, counted(r.Repeats, "repeat"), strings.Join(with, ", "))
	if sc.beside == nil && sc.kind != curved && len(r.LeftOut) > 0 {
		var names []string // the reason may name files of this machine, so it stays in the report
		for _, why := range r.LeftOut {
			name, _, _ := strings.Cut(why, ":")
			names = append(names, name)
		}
		text += " Missing: " + strings.Join(names, ", ") + "."
	}
	return text
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// curvePoints is how many lines the table of a memory curve has at most, about.
const curvePoints = 13

// curve writes how a tool's resident memory went, and its trend by least squares over the
// second half of the run. A trend near 0 says that memory does not grow with the run.
func curve(p *printer, s sample) {
	if len(s.Memory) < 3 {
		p.linef("\nThe run was too short for a curve of the memory.")
		return
	}
	p.linef("\n| minute | resident memory (MB) |\n| --- | --- |")
	step := max(1, (len(s.Memory)-1)/(curvePoints-1))
	for i := 0; i < len(s.Memory); i += step {
		m := s.Memory[i]
		p.linef("| %.1f | %.1f |", m.Seconds/60, float64(m.Bytes)/1e6)
	}
	half := s.Memory[len(s.Memory)/2:]
	least, most := half[0].Bytes, half[0].Bytes
	for _, m := range half {
		least, most = min(least, m.Bytes), max(most, m.Bytes)
	}
	p.linef("\nIn the second half of the run the resident memory was %.1f to %.1f MB, with a trend of %+.2f MB an hour.",
		float64(least)/1e6, float64(most)/1e6, slope(half)*3600/1e6)
}

// slope returns the bytes per second of the line through the figures by least squares.
func slope(figures []memoryAt) float64 {
	var meanAt, meanBytes float64
	for _, m := range figures {
		meanAt += m.Seconds / float64(len(figures))
		meanBytes += float64(m.Bytes) / float64(len(figures))
	}
	var both, squares float64
	for _, m := range figures {
		both += (m.Seconds - meanAt) * (float64(m.Bytes) - meanBytes)
		squares += (m.Seconds - meanAt) * (m.Seconds - meanAt)
	}
	if squares == 0 {
		return 0
	}
	return both / squares
}
