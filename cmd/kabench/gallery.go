package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// galleryOptions are the flags of `kabench gallery`.
type galleryOptions struct {
	out  string
	only []string
	html []string
	jobs int
	sets []string
}

// galleryPages are the incidents that the gallery has a page of: a race, a queue
// and a port range that fill up. A page is 0.6 MB and more, and each that is made
// again stays in a repository's history: all of them would be some 20 MB a time.
var galleryPages = []string{"idle-race", "pending-queue-full", "port-exhaustion"}

// galleryIndex is the file in which the gallery keeps what its index says.
const galleryIndex = "reports.json"

// exhibit is a report in the gallery.
type exhibit struct {
	Name     string           `json:"name"`
	Question string           `json:"question"`
	Outcome  string           `json:"outcome"`
	Headline results.Headline `json:"headline"`
	Version  string           `json:"version"`
	Measured string           `json:"measured"` // the day, UTC
	HasPage  bool             `json:"page"`
}

func newGallery(s *streams) *cobra.Command {
	o := &galleryOptions{}
	c := &cobra.Command{
		Use:   "gallery",
		Short: "Reproduce the incidents and write their reports, for the documentation",
		Long: `Reproduce every incident with its remedies, each by a process of its own, and write NAME.md for
each, README.md with all questions and verdicts, and NAME.html for those that --html names. What is
there already is written over; what --only leaves out stays.

An incident that could not be judged, because the machine was too busy, keeps the report it had.`,
		Example: `  go run ./cmd/kabench gallery
  go run ./cmd/kabench gallery --only idle-race,truncated`,
		Args: none,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.jobs < 1 || o.jobs > 64 {
				return &usageError{c.CommandPath(), fmt.Errorf("--jobs %d is not between 1 and 64", o.jobs)}
			}
			for _, name := range slices.Concat(o.only, o.html) {
				if !slices.ContainsFunc(profiles.Incidents(), func(e profiles.Embedded) bool { return e.Name == name }) {
					return &usageError{c.CommandPath(), fmt.Errorf("%s is no incident that comes with kabench; 'kabench incidents' lists them%s", name, didYouMean(name, incidentNames()))}
				}
			}
			return doGallery(c.Context(), s, o)
		},
	}
	c.Flags().StringVar(&o.out, "out", filepath.Join("docs", "reports"), "directory to write to")
	c.Flags().StringSliceVar(&o.only, "only", nil, "incidents to reproduce, with commas between (default all)")
	c.Flags().StringSliceVar(&o.html, "html", galleryPages, "incidents to write a page of as well")
	c.Flags().IntVar(&o.jobs, "jobs", 1, "how many at a time; they share this machine's cores")
	c.Flags().StringArrayVar(&o.sets, "set", nil, "set a profile field, as for 'kabench reproduce'; the reports do not say so")
	c.Flags().MarkHidden("set") // for tests, on machines that are busy
	return c
}

func doGallery(ctx context.Context, s *streams, o *galleryOptions) error {
	all, err := readGallery(o.out)
	if err != nil {
		return err
	}
	ctx, stop, restore := interruptible(ctx, s.err)
	defer restore()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "kabench-gallery-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	made := galleryVersion(ctx)

	var mu sync.Mutex // guards all and worst
	code := exitDone
	places := make(chan struct{}, o.jobs)
	var running sync.WaitGroup
	for _, e := range profiles.Incidents() {
		if len(o.only) > 0 && !slices.Contains(o.only, e.Name) {
			continue
		}
		select {
		case <-stop:
		case places <- struct{}{}:
		}
		if isClosed(stop) {
			break
		}
		running.Go(func() {
			defer func() { <-places }()
			dir := filepath.Join(work, e.Name)
			defer os.RemoveAll(dir)
			c := &chapter{name: e.Name}
			c.reproduce(ctx, stop, self, append([]string{"reproduce", e.Name, "--json", "--out", dir}, setFlags(o.sets)...))
			var x exhibit
			var err error
			if c.rep != nil && (c.code == exitDone || c.code == exitUnmet) {
				x, err = o.exhibit(dir, e.Name, made)
			}
			mu.Lock()
			defer mu.Unlock()
			fmt.Fprintf(s.err, "%s: %s, %d s\n", c.name, c.says(), int(c.took.Seconds()))
			switch {
			case err != nil:
				fmt.Fprintf(s.err, "kabench: %s: %v\n", e.Name, err)
				code = exitInput
			case x.Name == "":
				code = cmp.Or(c.code, exitInput)
			default:
				if c.code != exitDone && code == exitDone {
					code = c.code
				}
				all = slices.DeleteFunc(all, func(y exhibit) bool { return y.Name == x.Name })
				all = append(all, x)
			}
		})
	}
	running.Wait()
	if err := writeGallery(o.out, all); err != nil {
		return err
	}
	switch {
	case isClosed(stop):
		return exitCode(exitInterrupted)
	case code != exitDone:
		return exitCode(code)
	case s.json:
		return s.line(map[string]any{"out": o.out, "reports": len(all)}, "")
	}
	fmt.Fprintf(s.err, "written: %s, %d reports\n", o.out, len(all))
	return nil
}

// exhibit writes the report, or reports, of the results in dir.
func (o *galleryOptions) exhibit(dir, name, made string) (exhibit, error) {
	k, err := results.OpenKept(dir)
	if err != nil {
		return exhibit{}, err
	}
	redact := &results.Redactor{}
	k = redact.Kept(k)
	for i := range k.Runs {
		k.Runs[i].Run.Version = made
	}
	var b bytes.Buffer
	if err := results.RenderMarkdown(&b, k); err != nil {
		return exhibit{}, err
	}
	fmt.Fprintf(&b, "\nMade again by `go run ./cmd/kabench gallery --only %s`. [All reports](README.md)\n", name)
	if err := results.WriteWhole(filepath.Join(o.out, name+".md"), b.Bytes()); err != nil {
		return exhibit{}, err
	}
	x := exhibit{
		Name: name, Question: k.Question(), Outcome: k.Outcome(), Headline: k.Headline(),
		Version: made, Measured: k.Start().UTC().Format("2006-01-02"), HasPage: slices.Contains(o.html, name),
	}
	if !x.HasPage {
		return x, nil
	}
	b.Reset()
	if err := redactedPage(&b, dir, redact); err != nil {
		return exhibit{}, err
	}
	return x, results.WriteWhole(filepath.Join(o.out, name+".html"), b.Bytes())
}

// readGallery is what the gallery in dir has; nothing if there is none.
func readGallery(dir string) ([]exhibit, error) {
	path := filepath.Join(dir, galleryIndex)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var all []exhibit
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read (%w): remove it, and make the whole gallery again", path, err)
	}
	return all, nil
}

// writeGallery writes what the gallery has, and its index.
func writeGallery(dir string, all []exhibit) error {
	slices.SortFunc(all, func(a, b exhibit) int { return strings.Compare(a.Name, b.Name) })
	index, err := json.MarshalIndent(append([]exhibit{}, all...), "", "  ")
	if err != nil {
		return err
	}
	if err := results.WriteWhole(filepath.Join(dir, galleryIndex), append(index, '\n')); err != nil {
		return err
	}
	var b bytes.Buffer
	b.WriteString(`# Reports of the incidents

What kabench measured when it reproduced each incident and ran its remedies, made by
` + "`go run ./cmd/kabench gallery`" + `. A page (HTML) shows more, down to single connections; download it and
open it in a browser, or make one of any run with ` + "`kabench report DIR -o report.html`" + `.

| incident | question | verdict | measured |
| :--- | :--- | :--- | :--- |
`)
	for _, x := range all {
		page := ""
		if x.HasPage {
			page = fmt.Sprintf(" ([page](%s.html))", x.Name)
		}
		var figures []string
		for _, f := range x.Headline.Figures {
			figures = append(figures, results.MarkdownText(f.Value)+" "+results.MarkdownText(f.Label))
		}
		fmt.Fprintf(&b, "| [%s](%[1]s.md)%s | %s | **%s**: %s | %s, %s |\n", x.Name, page, results.MarkdownText(x.Question),
			results.MarkdownText(x.Outcome), strings.Join(figures, "; "), x.Measured, results.MarkdownText(x.Version))
	}
	return results.WriteWhole(filepath.Join(dir, "README.md"), b.Bytes())
}

// galleryVersion is what the reports say made them: `go run` knows no version, so
// of a working copy it is the commit.
func galleryVersion(ctx context.Context) string {
	made := version()
	if made != "devel" {
		return made
	}
	commit, err := exec.CommandContext(ctx, "git", "describe", "--tags", "--always", "--dirty", "--exclude=*/*").Output()
	if err != nil {
		return made // not a working copy, or there is no git
	}
	return made + "-" + strings.TrimSpace(string(commit))
}
