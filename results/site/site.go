// Package site publishes reports as a static site: a table of questions and verdicts, a
// page and a Markdown file for each report, trends over runs of the same question, and
// an Atom feed.
//
// Everything is redacted before it is published, because anybody can read a site.
package site

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kabench/kabench/results/record"
	"github.com/kabench/kabench/results/redact"
	"github.com/kabench/kabench/results/text"
)

// Options say where a site is and what it contains.
type Options struct {
	Out     string    // its directory: new, empty, or made by Publish
	BaseURL string    // URL of the directory; "": as before, or unknown
	Title   string    // of the index and the feed; "": as before, or "kabench reports"
	Version string    // of kabench
	Now     time.Time // the time of publishing

	ShowHosts bool // keep host names
	Unfit     bool // also publish invalid, cut-off and interrupted results, marked as such
	// Page writes the HTML report of the results in dir, with texts redacted by redact;
	// nil: there are no pages.
	Page func(w io.Writer, dir string, redact *redact.Redactor) error
}

// Published is a report on the site.
type Published struct {
	Slug   string   `json:"slug"`   // its directory below reports/
	State  string   `json:"state"`  // new, updated, unchanged, or left out
	Answer string   `json:"answer"` // of its headline
	Notes  []string `json:"notes"`
}

// LeftOut is the state of a report that is not published, because it is invalid,
// cut off or interrupted; its first note says which.
const LeftOut = "left out"

// The names of files in a site.
const (
	fileIndex    = "index.html"
	fileFeed     = "feed.xml"
	fileMarkdown = "report.md"
	filePage     = "index.html"
	dirReports   = "reports"
)

// report is a report to write.
type report struct {
	Entry
	markdown, page []byte
	notes          []string
	unfit          string // why it should not be published; "": it may be
}

// Publish adds the results in dirs to the site, or updates them there. Other content
// of the site stays. It writes nothing unless all of dirs can be read, and never
// overwrites a file that it has not made.
func Publish(dirs []string, o Options) ([]Published, error) {
	base, err := baseURL(o.BaseURL)
	if err != nil {
		return nil, err
	}
	m, err := openManifest(o.Out)
	if err != nil {
		return nil, err
	}
	var reports []report
	done := []Published{}
	for _, dir := range dirs {
		r, err := o.report(dir)
		if err != nil {
			return nil, err
		}
		if r.unfit != "" && !o.Unfit {
			done = append(done, Published{Slug: r.Slug, State: LeftOut, Answer: r.Headline.Answer, Notes: append([]string{r.unfit}, r.notes...)})
			continue
		}
		if i := slices.IndexFunc(reports, func(q report) bool { return q.Slug == r.Slug }); i >= 0 {
			if reports[i].Digest != r.Digest {
				return nil, fmt.Errorf("%s: another of these results has the same name and start, and so the same link (%s); publish one of them", dir, r.Slug)
			}
			continue // named twice
		}
		reports = append(reports, r)
	}
	if len(reports) == 0 {
		return done, nil
	}
	if m.ID == "" {
		m.ID = newID(base, o.Now)
	}
	m.Version = o.Version
	if base != "" {
		m.BaseURL = base
	}
	if o.Title != "" {
		m.Title = o.Title
	}
	files := map[string][]byte{}
	for _, r := range reports {
		state := m.add(&r.Entry, o.Now)
		files[r.file(fileMarkdown)] = r.markdown
		if r.page != nil {
			files[r.file(filePage)] = r.page
		}
		done = append(done, Published{Slug: r.Slug, State: state, Answer: r.Headline.Answer, Notes: append([]string{}, r.notes...)})
	}
	pages, links, err := m.trends()
	if err != nil {
		return nil, err
	}
	maps.Copy(files, pages)
	if files[fileIndex], err = m.index(links); err != nil {
		return nil, err
	}
	if files[fileFeed], err = m.feed(); err != nil {
		return nil, err
	}
	return done, m.write(o.Out, files)
}

// report makes the report of the results in dir.
func (o Options) report(dir string) (report, error) {
	k, err := record.OpenArchive(dir)
	if err != nil {
		return report{}, err
	}
	// One Redactor for each: the name that replaces a host must not depend on other
	// reports.
	redact := &redact.Redactor{ShowHosts: o.ShowHosts}
	slugOf := slug(k, redact)
	whole := k
	k = redact.Archive(k)
	r := report{notes: k.Notes, unfit: k.Unfit(), Entry: Entry{
		Slug: slugOf, Kind: k.Kind(), Title: k.Title(), Question: k.Question(), Outcome: text.OutcomeOf(k),
		Headline: text.HeadlineOf(k), Start: k.Start(), Version: k.Version(),
	}}
	if r.Title == "" {
		r.Title = r.Kind
	}
	r.Failures, r.P99 = cells(k)
	var notes []string
	r.Points, notes = points(whole, k)
	r.notes = append(r.notes, notes...)
	var b bytes.Buffer
	if err := text.RenderMarkdown(&b, k); err != nil {
		return report{}, fmt.Errorf("%s: %w", dir, err)
	}
	r.markdown = bytes.Clone(b.Bytes())
	sum := sha256.Sum256(r.markdown)
	r.Digest = hex.EncodeToString(sum[:])
	if o.Page != nil {
		b.Reset()
		if err := o.Page(&b, dir, redact); err != nil {
			return report{}, fmt.Errorf("%s: %w", dir, err)
		}
		r.page, r.HasPage = b.Bytes(), true
	}
	return r, nil
}

// slug is the part of a link that stays the same for a report: its name, kind and
// start.
func slug(k *record.Archive, redact *redact.Redactor) string {
	for _, r := range k.Runs {
		redact.Learn(r.Run)
	}
	words := strings.FieldsFunc(record.Slug(strings.ToLower(redact.Text(k.Title())), ""), func(r rune) bool { return r == '-' })
	name := strings.Join(words, "-")
	when := k.Start().UTC().Format("20060102-150405.000")
	if k.Start().IsZero() {
		var b bytes.Buffer
		_ = text.RenderMarkdown(&b, redact.Archive(k)) // its content makes it unique
		sum := sha256.Sum256(b.Bytes())
		when = "undated-" + hex.EncodeToString(sum[:6])
	}
	return strings.TrimLeft(name+"-"+k.Kind()+"-"+when, "-")
}

// write writes the manifest and then the files. The manifest is first because it names
// the files as ours, even if the others cannot be written.
func (m *manifest) write(out string, files map[string][]byte) error {
	ours := map[string]bool{}
	for _, name := range m.Files {
		ours[name] = true
	}
	var names []string
	for name := range files {
		names = append(names, name)
		path := filepath.Join(out, filepath.FromSlash(name))
		if _, err := os.Lstat(path); err == nil && !ours[name] {
			return fmt.Errorf("%s exists and was not made by 'kabench publish': move it away, or publish elsewhere", path)
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if !ours[name] {
			m.Files = append(m.Files, name)
		}
	}
	slices.Sort(m.Files)
	slices.Sort(names)
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	text, err := m.encode()
	if err != nil {
		return err
	}
	if err := record.WriteWhole(filepath.Join(out, fileManifest), text); err != nil {
		return err
	}
	for _, name := range names {
		path := filepath.Join(out, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := record.WriteWhole(path, files[name]); err != nil {
			return err
		}
	}
	return nil
}
