package main

import (
	"bufio"
	"fmt"
	"os"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/page"
)

// pageOptions are those of `kabench report -o`.
type pageOptions struct {
	dirs   []string
	output string
}

// doPage writes the page of the directories to a file, whole or not at all.
func doPage(s *streams, o *pageOptions) error {
	data, err := page.Gather(o.dirs...)
	if err != nil {
		return err
	}
	if err := writePage(o.output, data); err != nil {
		return err
	}
	if s.json {
		return s.line(map[string]any{"file": o.output, "notes": data.Notes}, "")
	}
	for _, note := range data.Notes {
		fmt.Fprintln(s.err, "kabench: "+results.OneLine(note))
	}
	fmt.Fprintf(s.err, "written: %s\n", o.output)
	return nil
}

// writePage writes to a file beside it first: a page that is there already is
// replaced by a whole one or kept.
func writePage(path string, data *page.Data) (err error) {
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(path + ".new")
		}
	}()
	w := bufio.NewWriter(f)
	if err = page.Write(w, data); err != nil {
		return err
	}
	if err = w.Flush(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
