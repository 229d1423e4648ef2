package own

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/internal/aim"
	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/diagnose"
	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/probe"
	"github.com/kabench/kabench/internal/serverfile"
	"github.com/kabench/kabench/internal/terminal"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/page"
	"github.com/kabench/kabench/results/record"
	"github.com/kabench/kabench/results/text"
)

// cannotAim returns why an incident cannot be shown on a server from outside.
func cannotAim(incident string) string {
	_, why := aim.Takes(incident)
	return why
}

// probe measures the server, unless a file has it.
func (d *diagnosing) probe() error {
	switch {
	case d.o.Target == "":
		return nil
	case d.o.dryRun:
		return d.wouldProbe()
	}
	if d.server != nil {
		return nil
	}
	where, options, err := d.o.Probe(d.ctx)
	if err != nil {
		return err
	}
	d.begin(diagnose.Probe)
	options.Limit, options.Stop = d.o.limit, d.stop
	progress := cli.NewProgress(d.s)
	options.Progress = showProbe(progress)
	if !d.s.JSON {
		fmt.Fprintln(d.s.Err, probeBegins(where, options))
	}
	result, err := probe.Run(d.ctx, where, options)
	progress.End()
	if err != nil {
		return err
	}
	return d.probed(result, probeFound{Document: result.Document(cli.Version(), options)})
}

// probed shows and keeps what the probe has found.
func (d *diagnosing) probed(result *probe.Result, found probeFound) error {
	d.show(func(w io.Writer) error {
		return terminal.Fitted(w, columns, func(b *bytes.Buffer) error { cli.ProbeText(b, found.Document); return nil })
	})
	d.say("", "")
	d.doc.Servers = found.Servers
	err := d.file(fileProbe, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(found)
	})
	if err != nil {
		return err
	}
	server, known := result.Safest()
	if known {
		preset := serverfile.Preset(server, sourceOf(result))
		d.server = &preset
		if err := d.file(fileServer, func(w io.Writer) error {
			text, err := serverfile.Text(server, sourceOf(result))
			if err == nil {
				_, err = w.Write(text)
			}
			return err
		}); err != nil {
			return err
		}
		d.doc.Choice = diagnose.Measured(d.doc.Choice, server)
		d.measured = fmt.Sprintf("The server at %s %s.", server.Address, server.Sentence())
	}
	switch {
	case result.Interrupted():
		d.doc.Interrupted = true
	case result.Stopped != nil:
		d.doc.Verdict = "The probe stopped: " + result.Stopped.Error() + "."
		return errors.Join(d.end(d.doc.Verdict, ""), exit.Invalid)
	case !known:
		return fmt.Errorf("nothing was learned about %s", d.doc.Target)
	}
	return d.end(d.measured, d.next(diagnose.Probe))
}

// reproduce tries the incidents on the server, until one is shown.
func (d *diagnosing) reproduce() error {
	if d.o.Target == "" || len(d.doc.Choice.Tries) == 0 {
		return nil
	}
	d.begin(diagnose.Reproduce)
	if d.o.dryRun {
		return d.wouldReproduce()
	}
	for i, try := range d.doc.Choice.Tries {
		tried, err := d.try(try)
		if tried != nil {
			d.doc.Tried = append(d.doc.Tried, *tried)
		}
		if err != nil {
			return err
		}
		if d.doc.Reproduced || d.stopped() {
			d.doc.NotTried = append(d.doc.NotTried, d.doc.Choice.Tries[i+1:]...)
			break
		}
	}
	return d.end(diagnose.Outcome(d.doc.Tried, d.doc.NotTried), "")
}

// try aims an incident at the server, says what to expect, and runs it with its remedies.
func (d *diagnosing) try(try diagnose.Try) (*diagnose.Tried, error) {
	tried := &diagnose.Tried{Try: try}
	aimed, err := d.o.Plan(d.ctx, try.Incident, *d.server)
	if err != nil {
		return nil, err
	}
	tried.Forecast = aimed.Forecast
	d.say("", diagnose.Expected(*tried, aimed.Hopeless()))
	d.say("", "")
	if aimed.Hopeless() {
		return tried, nil
	}
	out := ""
	if d.out != "" {
		out = filepath.Join(d.out, try.Incident)
	}
	progress := cli.NewProgress(d.s)
	rep, err := kabench.Reproduce(d.ctx, aimed.Profile, kabench.ReproduceOptions{
		Options: kabench.Options{Out: out, Version: cli.Version(), Stop: d.stop, Progress: progress.Show, Preparing: progress.Prepare},
		Before: func(step, steps int, name string) {
			progress.BeginRun(step, steps, fmt.Sprintf("%s, run %d of %d, %s", try.Incident, step, steps, name))
		},
		Again:    d.s.Again(progress),
		Forecast: aimed.Forecast,
	})
	progress.End()
	if rep == nil {
		return nil, err
	}
	tried.Reproduction, d.doc.Reproduced = rep, rep.Reproduced
	d.doc.Settings = diagnose.Settings(rep)
	d.show(func(w io.Writer) error { return text.RenderReproduction(w, rep) })
	d.say("", "")
	return tried, errors.Join(err, d.keepRuns(out, rep))
}

// keepRuns writes what belongs to the runs in out: the document and the page.
func (d *diagnosing) keepRuns(out string, rep *results.Reproduction) error {
	if out == "" {
		return nil
	}
	err := record.SaveReproduction(out, rep)
	if err != nil {
		return err
	}
	name := filepath.Base(out)
	d.doc.Files = append(d.doc.Files, name, filepath.Join(name, record.FileIncident))
	data, err := page.Gather(out)
	if err != nil {
		return err
	}
	d.doc.Files = slices.DeleteFunc(d.doc.Files, func(f string) bool { return f == cli.FileDiagnosisPage })
	return d.file(cli.FileDiagnosisPage, func(w io.Writer) error { return page.Write(w, data) })
}

// wouldProbe says what the probe would send.
func (d *diagnosing) wouldProbe() error {
	if d.server != nil {
		return nil
	}
	d.begin(diagnose.Probe)
	sends := diagnose.WouldProbe(d.doc.Target, probe.MakePlan(probe.DefaultRequests).Connections(), probe.DefaultRequests, d.o.limit)
	d.doc.Would = append(d.doc.Would, sends)
	return d.end(sends.What, d.next(diagnose.Probe))
}

// wouldReproduce says what the incidents would send: exactly if the server is known.
func (d *diagnosing) wouldReproduce() error {
	var texts []string
	for _, try := range d.doc.Choice.Tries {
		b := d.o.Budget
		sends := diagnose.WouldAim(try, cmp.Or(b.Connections, aim.DefaultConnections), cmp.Or(b.Requests, aim.DefaultRequests), cmp.Or(b.Time, aim.DefaultTime))
		if d.server != nil {
			aimed, err := d.o.Plan(d.ctx, try.Incident, *d.server)
			if err != nil {
				return err
			}
			tried := diagnose.Tried{Try: try, Forecast: aimed.Forecast}
			if sends = diagnose.WouldReproduce(tried); aimed.Hopeless() {
				texts = append(texts, diagnose.Expected(tried, true))
				continue
			}
		}
		d.doc.Would = append(d.doc.Would, sends)
		texts = append(texts, sends.What)
	}
	return d.end(strings.Join(texts, " "), "")
}
