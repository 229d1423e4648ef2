package own

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/diagnose"
	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/internal/probe"
	"github.com/kabench/kabench/internal/terminal"
	"github.com/kabench/kabench/profiles/lint"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// DiagnosisSchema is the name and version of Diagnosis's document.
const DiagnosisSchema = "kabench.diagnosis/v1"

// Diagnosis is what 'kabench diagnose --json' prints, and what is kept as diagnosis.json.
type Diagnosis struct {
	Schema      string           `json:"schema"`
	Version     string           `json:"version"`
	Start       time.Time        `json:"start"`
	Target      string           `json:"target,omitempty"` // without secrets
	Steps       []DiagnosisStep  `json:"steps"`
	Explanation cli.Explanation  `json:"explanation"`
	Choice      diagnose.Choice  `json:"choice"`
	Would       []diagnose.Sends `json:"would_send,omitempty"` // with --dry-run
	Servers     []probe.Found    `json:"servers,omitempty"`    // measured, by address
	Findings    []lint.Finding   `json:"findings"`
	Tried       []diagnose.Tried `json:"tried"`
	NotTried    []diagnose.Try   `json:"not_tried,omitempty"` // because an earlier incident was shown, or the user has stopped
	Reproduced  bool             `json:"reproduced"`          // an incident was shown on the server, and its remedy cleared it
	Verdict     string           `json:"verdict"`
	// Settings are what the verdict advises, in the client's words.
	Settings    []results.ClientSetting `json:"settings,omitempty"`
	Files       []string                `json:"files,omitempty"` // what is kept, in the directory of the results
	Interrupted bool                    `json:"interrupted,omitempty"`
}

// DiagnosisStep is one step of the way.
type DiagnosisStep struct {
	Step  string  `json:"step"` // explain, probe, lint or reproduce
	For   string  `json:"for"`
	Found string  `json:"found"`
	Next  string  `json:"next,omitempty"`
	Took  float64 `json:"took"` // seconds
}

// The files of a diagnosis, besides those that 'kabench report' reads.
const (
	fileServer = "server.yaml"
	fileProbe  = "probe.json"
)

// begin prints the title of a step.
func (d *diagnosing) begin(step string) {
	d.began = time.Now()
	d.doc.Steps = append(d.doc.Steps, DiagnosisStep{Step: step, For: diagnose.Purposes[step]})
	d.say("", fmt.Sprintf("%d. %s: %s", len(d.doc.Steps), step, diagnose.Purposes[step]))
	d.say("", "")
}

// end prints what the step found, and what the next one is for.
func (d *diagnosing) end(found, next string) error {
	step := &d.doc.Steps[len(d.doc.Steps)-1]
	step.Found, step.Next, step.Took = found, next, time.Since(d.began).Seconds()
	d.say("Found: ", found)
	if d.stopped() {
		step.Next = ""
	} else if next != "" {
		d.say("Next: ", next)
	}
	d.say("", "")
	return d.keep()
}

// say prints a paragraph, unless --json asks for one document.
func (d *diagnosing) say(prefix, text string) {
	d.show(func(w io.Writer) error {
		return terminal.Fitted(w, columns, func(b *bytes.Buffer) error {
			if text == "" {
				b.WriteString("\n")
				return nil
			}
			layout.Paragraph(b, prefix, text)
			return nil
		})
	})
}

// columns is how wide a diagnosis is if standard output is no terminal.
const columns = 110

// show prints what a step has to show, unless --json asks for one document. The text is also
// kept, for 'kabench report'.
func (d *diagnosing) show(print func(io.Writer) error) {
	if d.failed != nil {
		return
	}
	if d.failed = print(&d.text); d.failed == nil && !d.s.JSON {
		d.failed = print(d.s.Out)
	}
}

// keep writes the document as far as it goes.
func (d *diagnosing) keep() error {
	if d.out == "" {
		return d.failed
	}
	err := d.file(cli.FileDiagnosisText, func(w io.Writer) error { _, err := w.Write(d.text.Bytes()); return err })
	if err == nil {
		err = d.file(cli.FileDiagnosis, d.encode)
	}
	return errors.Join(err, d.failed)
}

func (d *diagnosing) encode(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(d.doc)
}

// file writes a file into the directory of the results.
func (d *diagnosing) file(name string, write func(io.Writer) error) error {
	if d.out == "" {
		return nil
	}
	known := false
	for _, f := range d.doc.Files {
		known = known || f == name
	}
	if !known && name != cli.FileDiagnosis {
		d.doc.Files = append(d.doc.Files, name)
	}
	return cli.WriteFile(filepath.Join(d.out, name), write)
}

// claim takes the directory of the results.
func (d *diagnosing) claim() error {
	if d.out == "" {
		return nil
	}
	return record.ClaimWith(d.out, func() error {
		return cli.WriteFile(filepath.Join(d.out, cli.FileDiagnosis), d.encode)
	})
}

// exists reports whether the results have a file.
func (d *diagnosing) exists(name string) bool {
	_, err := os.Stat(filepath.Join(d.out, name))
	return d.out != "" && err == nil
}
