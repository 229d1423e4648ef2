package main

import (
	"fmt"
	"io"

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
	if err := writeFile(o.output, func(w io.Writer) error { return page.Write(w, data) }); err != nil {
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
