package site

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/kabench/kabench/results/record"
	"github.com/kabench/kabench/results/text"
	"github.com/kabench/kabench/results/trend"
)

// fileManifest says that a directory was made here, and what is in it.
const fileManifest = "kabench-site.json"

// schema is the name and version of the manifest.
const schema = "kabench.site/v1"

// manifest describes a site; each publishing reads it and writes it again.
type manifest struct {
	Schema  string   `json:"schema"`
	Version string   `json:"version"` // of the kabench that wrote it last
	ID      string   `json:"id"`      // of the feed, a tag URI; it never changes
	Title   string   `json:"title"`
	BaseURL string   `json:"base_url,omitempty"` // ends in a slash
	Entries []Entry  `json:"entries"`            // the latest start first
	Files   []string `json:"files"`              // made here, with slashes
}

// Entry is a report on the site.
type Entry struct {
	Slug      string        `json:"slug"`
	Kind      string        `json:"kind"`
	Title     string        `json:"title"`
	Question  string        `json:"question,omitempty"`
	Outcome   string        `json:"outcome"` // the verdict in a word or two
	Headline  text.Headline `json:"headline"`
	Start     time.Time     `json:"start"`
	Version   string        `json:"version"` // of the kabench that measured it
	Published time.Time     `json:"published"`
	Updated   time.Time     `json:"updated"` // when its content last changed
	Digest    string        `json:"digest"`  // of its content
	HasPage   bool          `json:"page"`
	Failures  Cell          `json:"failures"`
	P99       Cell          `json:"p99"`
	Points    []trend.Point `json:"points"` // its runs, for trends
}

// file is the path of one of the report's files in the site.
func (e *Entry) file(name string) string { return path.Join(dirReports, e.Slug, name) }

// Link is where the report is read, a URL reference from the site's root.
func (e *Entry) Link() string {
	if e.HasPage {
		return dirReports + "/" + url.PathEscape(e.Slug) + "/"
	}
	return e.Markdown()
}

// Markdown is where its Markdown is, a URL reference.
func (e *Entry) Markdown() string {
	return dirReports + "/" + url.PathEscape(e.Slug) + "/" + fileMarkdown
}

// slugForm is the form of a valid slug, which becomes a part of paths.
var slugForm = regexp.MustCompile(`^[\p{L}\p{N}][\p{L}\p{M}\p{N}.-]*$`)

// questionForm is the form of the question of a run, which becomes the name of a file.
var questionForm = regexp.MustCompile(`^[0-9a-f]{16}$`)

// openManifest reads the manifest of the site in dir. For a new or empty directory it
// returns an empty manifest.
func openManifest(dir string) (*manifest, error) {
	text, err := os.ReadFile(filepath.Join(dir, fileManifest))
	if errors.Is(err, fs.ErrNotExist) {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s: cannot hold a site: %w", dir, err)
		}
		if len(entries) > 0 {
			return nil, fmt.Errorf("%s is not empty and was not made by 'kabench publish'; name a new directory", dir)
		}
		return &manifest{Schema: schema, Title: "kabench reports", Entries: []Entry{}}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: cannot hold a site: %w", dir, err)
	}
	m := &manifest{}
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", filepath.Join(dir, fileManifest), err)
	}
	if m.Schema != schema {
		if strings.HasPrefix(m.Schema, "kabench.site/v") {
			return nil, fmt.Errorf("%s: schema %s: %w; this one writes %s", filepath.Join(dir, fileManifest), m.Schema, record.ErrNewerSchema, schema)
		}
		return nil, fmt.Errorf("%s was not made by 'kabench publish': its schema is %q", filepath.Join(dir, fileManifest), m.Schema)
	}
	for _, e := range m.Entries {
		if !slugForm.MatchString(e.Slug) {
			return nil, fmt.Errorf("%s is damaged: %q is not the name of a report", filepath.Join(dir, fileManifest), e.Slug)
		}
		for _, p := range e.Points {
			if !questionForm.MatchString(p.Question) {
				return nil, fmt.Errorf("%s is damaged: %q is not a question of %s", filepath.Join(dir, fileManifest), p.Question, e.Slug)
			}
		}
	}
	if base, err := baseURL(m.BaseURL); err != nil || base != m.BaseURL {
		return nil, fmt.Errorf("%s is damaged: its base_url is %q", filepath.Join(dir, fileManifest), m.BaseURL)
	}
	return m, nil
}

func (m *manifest) encode() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	err := enc.Encode(m)
	return b.Bytes(), err
}

// add adds e to the entries, or replaces the entry with its slug, and returns which it
// did: new, updated or unchanged.
func (m *manifest) add(e *Entry, now time.Time) (state string) {
	e.Published, e.Updated = now.UTC(), now.UTC()
	i := slices.IndexFunc(m.Entries, func(o Entry) bool { return o.Slug == e.Slug })
	switch {
	case i < 0:
		m.Entries = append(m.Entries, *e)
		state = "new"
	case m.Entries[i].Digest == e.Digest:
		e.Published, e.Updated = m.Entries[i].Published, m.Entries[i].Updated
		e.HasPage = e.HasPage || m.Entries[i].HasPage
		m.Entries[i], state = *e, "unchanged"
	default:
		e.Published = m.Entries[i].Published
		e.HasPage = e.HasPage || m.Entries[i].HasPage
		m.Entries[i], state = *e, "updated"
	}
	slices.SortFunc(m.Entries, func(a, b Entry) int { return cmp.Or(b.Start.Compare(a.Start), cmp.Compare(a.Slug, b.Slug)) })
	return state
}

// baseURL returns text with a slash at its end, or an error if it is no URL for a
// site; "" stays.
func baseURL(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("--base-url %s: want the URL of the site, as https://example.org/bench/", text)
	}
	return strings.TrimSuffix(u.String(), "/") + "/", nil
}

// tagAuthority is the form of the authority in a tag URI (RFC 4151).
var tagAuthority = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?$`)

// newID makes the tag URI of a new feed: its host, or else a reserved name (RFC 2606),
// the day, and a random part that makes it unique.
func newID(base string, now time.Time) string {
	host := "kabench.invalid"
	if u, err := url.Parse(base); err == nil && tagAuthority.MatchString(u.Hostname()) {
		host = strings.ToLower(u.Hostname())
	}
	return fmt.Sprintf("tag:%s,%s:kabench/%s", host, now.UTC().Format("2006-01-02"), strings.ToLower(rand.Text()[:16]))
}
