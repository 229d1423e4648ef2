package own

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/diagnose"
	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/interrupt"
	"github.com/kabench/kabench/internal/resultsdir"
	"github.com/kabench/kabench/internal/wording"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/lint"
)

// diagnosing is a diagnosis being made.
type diagnosing struct {
	s       *cli.Streams
	o       *diagnoseOptions
	command string
	ctx     context.Context
	stop    <-chan struct{}

	doc      *Diagnosis
	out      string // "": nothing is kept
	asked    diagnose.Asked
	subject  *profiles.Profile      // the client's pool and the target
	server   *profiles.ServerPreset // measured, or of a file; nil: not known yet
	measured string                 // the server in a sentence; "": it was not measured
	began    time.Time              // of the current step
	text     bytes.Buffer           // what was printed, or would be without --json
	failed   error                  // the first error of printing
}

func doDiagnose(c *cobra.Command, s *cli.Streams, o *diagnoseOptions) error {
	d := &diagnosing{s: s, o: o, command: c.CommandPath()}
	if err := d.prepare(); err != nil {
		return err
	}
	ctx, stop, restore := interrupt.Catch(c.Context(), s.Err)
	defer restore()
	d.ctx, d.stop = ctx, stop
	err := d.walk()
	return d.finish(err)
}

// prepare reads everything that the user gave, so that a mistake is reported before the
// first step.
func (d *diagnosing) prepare() (err error) {
	d.doc = &Diagnosis{
		Schema: DiagnosisSchema, Version: cli.Version(), Start: time.Now(), Steps: []DiagnosisStep{},
		Explanation: cli.Explain(d.o.text), Findings: []lint.Finding{}, Tried: []diagnose.Tried{},
	}
	d.asked = diagnose.Asked{
		Candidates: d.doc.Explanation.Candidates, Pool: d.o.Pool, Target: d.o.Target != "", Cannot: cannotAim,
	}
	pool := diagnose.Choose(d.asked).Pool
	d.o.Sets = append(slices.Clone(pool.Sets), d.o.Sets...) // the user's win
	if d.subject, err = d.o.subject(pool.Name); err != nil {
		return err
	}
	d.asked.TLS = strings.HasPrefix(strings.ToLower(d.o.Target), "https:")
	d.doc.Choice = diagnose.Choose(d.asked)
	if d.o.Pool == "" && d.doc.Choice.Pool.Name != diagnose.NoPreset { // else each incident's own pool
		d.o.Pool = d.doc.Choice.Pool.Name
	}
	d.doc.Target = profiles.Redact(*d.subject).Target.URL
	if d.o.server != "" {
		server, err := profiles.ReadServer(d.o.server)
		if err != nil {
			return fmt.Errorf("--server: %w", err)
		}
		if d.o.Target != "" {
			d.s.OtherServer(d.o.server, server, d.o.Target)
		}
		d.server = &server
	}
	if !d.o.dryRun && (d.o.Target != "" || d.o.out != "") { // what is only explained is not worth a directory
		d.out = resultsdir.Out(d.o.out, "diagnose")
	}
	return cli.InOut(d.out, d.claim())
}

// walk goes from step to step, until one ends the way.
func (d *diagnosing) walk() error {
	for _, step := range []func() error{d.explain, d.probe, d.lint, d.reproduce} {
		if err := step(); err != nil {
			return err
		}
		if d.stopped() {
			return nil
		}
	}
	return nil
}

func (d *diagnosing) stopped() bool {
	select {
	case <-d.stop:
		d.doc.Interrupted = true
	default:
	}
	return d.doc.Interrupted
}

func (d *diagnosing) explain() error {
	d.begin(diagnose.Explain)
	d.show(d.doc.Explanation.Print)
	d.say("", "")
	found := diagnose.Explained(d.asked.Candidates, d.doc.Choice)
	pool := d.doc.Choice.Pool
	return d.end(found+fmt.Sprintf(" The pool is %s: %s.", pool.Name, pool.Why), d.next(diagnose.Explain))
}

// lint checks the client's pool against the server, as far as that is known.
func (d *diagnosing) lint() error {
	d.begin(diagnose.Lint)
	if d.server != nil {
		d.subject.Server = d.server.Facts
		d.subject.Server.Take(d.server.Lab)
	}
	list := lint.Check(d.subject, lint.Options{Words: wording.For})
	d.doc.Findings = append(d.doc.Findings, list.Findings...)
	d.show(func(w io.Writer) error { return cli.PrintChecklist(w, list) })
	d.say("", "")
	var rules []string
	for _, f := range list.Findings {
		if !slices.Contains(rules, f.Rule) {
			rules = append(rules, f.Rule)
		}
	}
	d.doc.Choice = diagnose.Linted(d.asked, d.doc.Choice, rules)
	return d.end(diagnose.Broken(rules, d.server != nil), d.next(diagnose.Lint))
}

// finish prints the verdict, and returns the exit code.
func (d *diagnosing) finish(err error) error {
	if errors.Is(err, kabench.ErrInterrupted) {
		d.doc.Interrupted, err = true, nil
	}
	if _, coded := exit.From(err); err != nil && !coded { // the root command prints it, so the text says nothing more
		d.doc.Verdict = profiles.WithoutSecrets(err, d.o.text, d.o.Target).Error()
	} else {
		d.conclude()
	}
	if keepErr := d.keep(); err == nil {
		err = keepErr
	}
	if d.s.JSON {
		if printErr := d.encode(d.s.Out); err == nil {
			err = printErr
		}
	}
	d.s.Saved(d.out)
	switch {
	case err != nil:
		return err
	case d.doc.Interrupted:
		return exit.Interrupted
	}
	return d.code().Err()
}
