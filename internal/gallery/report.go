package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kabench/kabench/results/page"
	"github.com/kabench/kabench/results/record"
	"github.com/kabench/kabench/results/redact"
	"github.com/kabench/kabench/results/text"
)

// write writes the reports of the results in dir.
func (o *options) write(dir, name, made string) (entry, error) {
	k, err := record.OpenArchive(dir)
	if err != nil {
		return entry{}, err
	}
	redact := &redact.Redactor{}
	k = redact.Archive(k)
	for i := range k.Runs {
		k.Runs[i].Run.Version = made
	}
	var b bytes.Buffer
	if err := text.RenderMarkdown(&b, k); err != nil {
		return entry{}, err
	}
	fmt.Fprintf(&b, "\nMade again by `go run ./internal/gallery --only %s`. [All reports](README.md)\n", name)
	if err := record.WriteWhole(filepath.Join(o.out, name+".md"), b.Bytes()); err != nil {
		return entry{}, err
	}
	x := entry{
		Name: name, Question: k.Question(), Outcome: text.OutcomeOf(k), Headline: text.HeadlineOf(k),
		Version: made, Measured: k.Start().UTC().Format("2006-01-02"), HasPage: slices.Contains(o.html, name),
	}
	if !x.HasPage {
		return x, nil
	}
	b.Reset()
	if err := writePage(&b, dir, redact); err != nil {
		return entry{}, err
	}
	return x, record.WriteWhole(filepath.Join(o.out, name+".html"), b.Bytes())
}

// writePage writes the HTML report of the results in dir, with what redactor makes of its
// texts. It has learned the secrets in the documents of dir.
func writePage(w io.Writer, dir string, redactor *redact.Redactor) error {
	data, err := page.Gather(dir)
	if err != nil {
		return err
	}
	return page.Write(w, redact.Document(redactor, data))
}

// measuredBy is the version that the reports name: the commit of the working copy.
func measuredBy(ctx context.Context) string {
	commit, err := exec.CommandContext(ctx, "git", "describe", "--tags", "--always", "--dirty", "--exclude=*/*").Output()
	if err != nil {
		return "devel" // not a working copy, or there is no git
	}
	return "devel-" + strings.TrimSpace(string(commit))
}
