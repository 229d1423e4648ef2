package page

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
	"github.com/kabench/kabench/results/text"
)

// maxRuns is how many runs a page draws; the measures of a comparison include the
// other runs.
const maxRuns = 12

// Gather reads the data of a page from directories of results: of one run, of an
// incident with its remedies, of a comparison, or of several of these, whose runs are
// then shown side by side. It reads the records as streams. If a file cannot be read
// and only a part is missing, Data.Notes says so.
func Gather(dirs ...string) (*Data, error) {
	if len(dirs) == 1 {
		c, err := record.OpenComparison(dirs[0])
		if err == nil {
			return gatherComparison(dirs[0], c)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		r, err := record.OpenReproduction(dirs[0])
		if err == nil {
			return gatherReproduction(dirs[0], r)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return gatherRuns(dirs)
}

// source is a run that a page draws.
type source struct {
	name string
	dir  string
	doc  *results.Run // nil: it is read from dir
}

// gather reads the runs into d.
func (d *Data) gather(list []source) error {
	if len(list) > maxRuns {
		d.note("%d more runs are not drawn: a page draws at most %d.", len(list)-maxRuns, maxRuns)
		list = list[:maxRuns]
	}
	for _, s := range list {
		run, err := d.run(s, len(list))
		if err != nil {
			return err
		}
		d.Runs = append(d.Runs, run)
	}
	return nil
}

func (d *Data) note(format string, args ...any) {
	d.Notes = append(d.Notes, fmt.Sprintf(format, args...))
}

// run reads one run of a page with the given number of runs.
func (d *Data) run(s source, runs int) (Run, error) {
	dir, err := record.Open(s.dir)
	if err == nil && s.doc == nil {
		s.doc, err = dir.Run()
	}
	if err != nil {
		if s.doc == nil {
			return Run{}, err
		}
		d.note("%s: %v. Its values are shown, and its charts are empty.", s.name, err)
		return newGatherer(s.name, s.doc, runs).Run(), nil
	}
	g := newGatherer(s.name, s.doc, runs)
	evidence, err := dir.Evidence()
	if err != nil {
		d.note("%s: the packets of its failures are missing: %v", s.name, err)
	}
	if len(evidence) == 0 && s.doc.Packets != nil {
		evidence = s.doc.Packets.Failures
	}
	g.Evidence(evidence)
	read := uint64(0)
	for e, err := range dir.Exchanges() {
		if err != nil {
			d.noteBroken(s.name, "exchange", read, err)
			break
		}
		g.Observe(e)
		read++
	}
	read = 0
	for end, err := range dir.Connections() {
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) { // else an earlier kabench made it
				d.noteBroken(s.name, "connection", read, err)
			}
			break
		}
		g.Ended(end)
		read++
	}
	read = 0
	for sample, err := range dir.Samples() {
		if err != nil {
			d.noteBroken(s.name, "sample", read, err)
			break
		}
		g.Sample(sample)
		read++
	}
	return g.Run(), nil
}

// noteBroken notes why a file could not be read to its end.
func (d *Data) noteBroken(name, thing string, read uint64, err error) {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.note("%s: no %ss were recorded; their charts are empty.", name, thing)
	case errors.Is(err, record.ErrTorn):
		d.note("%s: the last part of the file is incomplete; the %s before it are shown.", name, results.FormatCount(read, thing))
	default:
		d.note("%s: reading stopped after %s: %v", name, results.FormatCount(read, thing), err)
	}
}

func gatherRuns(dirs []string) (*Data, error) {
	var list []source
	for _, dir := range dirs {
		inside, err := runsOf(dir)
		if err != nil {
			return nil, err
		}
		list = append(list, inside...)
	}
	named := map[string]int{}
	for _, s := range list {
		named[s.name]++
	}
	for i, s := range list {
		if named[s.name] > 1 {
			list[i].name = filepath.ToSlash(filepath.Clean(s.dir)) // the names must be unique
		}
	}
	d := &Data{Kind: KindRun, Notes: []string{}, Runs: []Run{}}
	if err := d.gather(list); err != nil {
		return nil, err
	}
	first := d.Runs[0].Doc
	if len(d.Runs) == 1 {
		d.Runs[0].Name = cmp.Or(first.Name, KindRun) // its directory's name need not be published
	}
	d.Title, d.Question, d.Headline = first.Name, first.Question, text.HeadlineOfRun(first)
	if len(d.Runs) == 1 {
		d.firstScreen()
		return d, nil
	}
	d.headOfSeveral()
	return d, nil
}

// mostInHead is how many runs the head of a page describes one by one.
const mostInHead = 3

// headOfSeveral makes the head of a page of several runs that were not compared. If there are
// more than mostInHead runs, it describes the runs with the most failures.
func (d *Data) headOfSeveral() {
	d.Headline.Figures = nil
	names, questions, answers := []string{}, []string{}, []string{}
	var failed []Run
	invalid, answered := 0, 0
	for _, r := range d.Runs {
		h := text.HeadlineOfRun(r.Doc)
		answers = append(answers, fmt.Sprintf("%s: %s", r.Name, h.Answer))
		d.Headline.Good = d.Headline.Good && h.Good
		if r.Doc.Counts.Failed > 0 {
			failed = append(failed, r)
		}
		if r.Doc.ErrorAnswers.Sum() > 0 {
			answered++
		}
		if !r.Doc.Valid {
			invalid++
		}
		names = append(names, r.Name)
		if !slices.Contains(questions, r.Doc.Question) {
			questions = append(questions, r.Doc.Question)
		}
	}
	rate := func(r Run) float64 {
		c := r.Doc.Counts
		return float64(c.Failed) / float64(max(c.Started, 1))
	}
	shown := d.Runs
	if len(d.Runs) > mostInHead {
		shown = slices.Clone(d.Runs)
		slices.SortStableFunc(shown, func(a, b Run) int { return cmp.Compare(rate(b), rate(a)) })
		shown = shown[:mostInHead]
		names = []string{results.FormatCount(uint64(len(d.Runs)), "run")}
		answers = []string{fmt.Sprintf("No request failed in any of %d runs.", len(d.Runs))}
		if len(failed) > 0 {
			worst := slices.MaxFunc(failed, func(a, b Run) int { return cmp.Compare(rate(a), rate(b)) })
			answers = []string{fmt.Sprintf("Requests failed in %d of %d runs; most in %s: %s", len(failed), len(d.Runs), worst.Name, text.HeadlineOfRun(worst.Doc).Answer)}
		}
		if answered > 0 {
			answers = append(answers, fmt.Sprintf("Error responses (4xx or 5xx) arrived in %d of %d runs.", answered, len(d.Runs)))
		}
		if invalid > 0 {
			answers = append(answers, fmt.Sprintf("Invalid runs: %d.", invalid))
		}
		answers = append(answers, "The table has the values of each run.")
	}
	for _, r := range shown {
		figures := text.HeadlineOfRun(r.Doc).Figures[:1]
		if r.Doc.ErrorAnswers.Sum() > 0 {
			figures = text.HeadlineOfRun(r.Doc).Figures[:2]
		}
		for _, f := range figures {
			f.Label += ", " + r.Name
			d.Headline.Figures = append(d.Headline.Figures, f)
		}
	}
	d.Headline.Answer = strings.Join(answers, " ")
	if len(d.Runs) <= mostInHead {
		answers = nil
		for _, r := range d.Runs {
			answers = append(answers, fmt.Sprintf("%s: %s, %d of %d failed.", r.Name, strings.ToLower(text.HeadlineOfRun(r.Doc).Outcome), r.Doc.Counts.Failed, r.Doc.Counts.Started))
		}
	}
	d.Headline.Decide("Not compared", text.ToneOpen, "", answers...)
	d.Picture = pictureOfRuns(d.Runs)
	d.Asked = sharedFacts(d.Runs)
	d.Title = strings.Join(names, ", ")
	if len(questions) > 1 {
		d.Question = "Several runs side by side"
		d.note("These runs ask different questions. They are shown side by side, and are no comparison.")
		return
	}
	d.note("These runs are shown side by side; 'kabench compare' tests whether they differ by more than chance.")
}

// runsOf lists the runs of a directory: itself, or those inside.
func runsOf(dir string) ([]source, error) {
	_, err := record.Open(dir)
	if err == nil {
		return []source{{name: filepath.Base(filepath.Clean(dir)), dir: dir}}, nil
	}
	var list []source
	for _, path := range record.RunsIn(dir) {
		list = append(list, source{name: filepath.Base(filepath.Clean(dir)) + "/" + filepath.Base(path), dir: path})
	}
	if len(list) == 0 {
		return nil, err
	}
	return list, nil
}

func gatherReproduction(dir string, r *results.Reproduction) (*Data, error) {
	d := &Data{
		Kind: KindReproduction, Title: r.Incident, Question: r.Question, Headline: text.HeadlineOfReproduction(r),
		Notes: []string{}, Runs: []Run{}, Picture: pictureOfReproduction(r), Asked: text.AskedOfReproduction(r),
	}
	list := []source{{"incident", filepath.Join(dir, "incident"), r.IncidentRun}}
	for _, remedy := range text.SpelledRemedies(r) {
		d.Spelled = append(d.Spelled, Spelled{remedy.Remedy, remedy.Settings})
	}
	for i, remedy := range r.RemedyRuns {
		if remedy.Run == nil {
			d.note("The remedy “%s” was not run.", remedy.Remedy)
			continue
		}
		list = append(list, source{remedy.Remedy, filepath.Join(dir, fmt.Sprintf("remedy-%d", i+1)), remedy.Run})
	}
	d.keepThree()
	return d, d.gather(list)
}

func gatherComparison(dir string, c *results.Comparison) (*Data, error) {
	d := &Data{
		Kind: KindComparison, Title: c.Name, Question: c.Question, Headline: text.HeadlineOfComparison(c),
		Notes: []string{}, Runs: []Run{}, Comparison: c, Picture: pictureOfComparison(c), Arms: text.ArmNames(c, 26), Summary: text.SummaryOfComparison(c),
	}
	for _, name := range c.MeasureNames() {
		d.Measures = append(d.Measures, [2]string{name, results.MeasureLabel(name)})
	}
	for _, run := range c.Runs {
		if run.Excluded != "" {
			d.note("A run of %s, in block %d, was left out: %s", run.Arm, run.Block, run.Excluded)
		}
	}
	// Charts show one run of each arm; the measures include all runs.
	var list []source
	for _, arm := range c.Arms {
		i := slices.IndexFunc(c.Runs, func(r results.ComparedRun) bool { return r.Arm == arm.Name && r.Excluded == "" })
		if i < 0 {
			d.note("%s has no valid run, so it has no charts.", arm.Name)
			continue
		}
		s := source{name: arm.Name, dir: c.Runs[i].Dir}
		if !filepath.IsAbs(s.dir) {
			s.dir = filepath.Join(dir, s.dir)
		}
		open, err := record.Open(s.dir)
		if err == nil {
			s.doc, err = open.Run()
		}
		if err != nil {
			d.note("%s: its run cannot be drawn: %v", arm.Name, err)
			continue
		}
		list = append(list, s)
	}
	var first *results.Run
	if len(list) > 0 {
		first = list[0].doc
	}
	d.Asked = text.AskedOfComparison(c, first)
	return d, d.gather(list)
}
