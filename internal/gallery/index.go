package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kabench/kabench/results/record"
	"github.com/kabench/kabench/results/text"
)

// indexFile is the file in which the directory keeps what README.md lists.
const indexFile = "reports.json"

// entry is a report in the list.
type entry struct {
	Name     string        `json:"name"`
	Question string        `json:"question"`
	Outcome  string        `json:"outcome"`
	Headline text.Headline `json:"headline"`
	Version  string        `json:"version"`
	Measured string        `json:"measured"` // the day, UTC
	HasPage  bool          `json:"page"`
}

// readIndex reads what the directory has already; nothing if it is new.
func readIndex(dir string) ([]entry, error) {
	path := filepath.Join(dir, indexFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var all []entry
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read (%w): remove it, and make all reports again", path, err)
	}
	return all, nil
}

// writeIndex writes reports.json and README.md, which list all reports.
func writeIndex(dir string, all []entry) error {
	slices.SortFunc(all, func(a, b entry) int { return strings.Compare(a.Name, b.Name) })
	index, err := json.MarshalIndent(append([]entry{}, all...), "", "  ")
	if err != nil {
		return err
	}
	if err := record.WriteWhole(filepath.Join(dir, indexFile), append(index, '\n')); err != nil {
		return err
	}
	var b bytes.Buffer
	b.WriteString(`# Reports of the incidents

What kabench measured when it reproduced each incident and ran its remedies, made by
` + "`go run ./internal/gallery`" + `. A page (HTML) shows more, down to single connections; download it and
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
			figures = append(figures, text.MarkdownText(f.Value)+" "+text.MarkdownText(f.Label))
		}
		fmt.Fprintf(&b, "| [%s](%[1]s.md)%s | %s | **%s**: %s | %s, %s |\n", x.Name, page, text.MarkdownText(x.Question),
			text.MarkdownText(x.Outcome), strings.Join(figures, "; "), x.Measured, text.MarkdownText(x.Version))
	}
	return record.WriteWhole(filepath.Join(dir, "README.md"), b.Bytes())
}
