package own

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/internal/aim"
	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/consent"
	"github.com/kabench/kabench/internal/diagnose"
	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/probe"
	"github.com/kabench/kabench/internal/serverfile"
	"github.com/kabench/kabench/internal/target"
	"github.com/kabench/kabench/internal/terminal"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/page"
	"github.com/kabench/kabench/results/record"
)

// cannotAim returns why an incident cannot be shown on a server from outside.
func cannotAim(incident string) string {
	_, why := aim.Takes(incident)
	return why
}

// probeOptions returns what the probe may do.
func (d *diagnosing) probeOptions() probe.Options {
	return probe.Options{Requests: probe.DefaultRequests, Limit: d.o.limit, Stop: d.stop}
}

// probe measures the server, unless a file has it.
func (d *diagnosing) probe() error {
	switch {
	case d.o.target == "":
		return nil
	case d.o.dryRun:
		return d.wouldProbe()
	}
	options := d.probeOptions()
	where, err := d.resolve(options)
	if err != nil || d.server != nil {
		return err
	}
	d.begin(diagnose.Probe)
	if options.TLS, err = target.ClientTLS(d.subject.Target, nil); err != nil {
		return err
	}
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

// resolve finds the addresses of the target, and refuses those that need consent.
func (d *diagnosing) resolve(options probe.Options) (*probe.Target, error) {
	requests, err := profiles.Requests(d.subject)
	if err != nil {
		return nil, err
	}
	r := requests[0]
	where, err := probe.Resolve(d.ctx, probe.Request{URL: r.URL, Method: r.Method, Header: r.Header, Body: r.Body})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.doc.Target, err)
	}
	var addrs []netip.Addr
	for _, a := range where.Addresses {
		addrs = append(addrs, a.Addr())
	}
	d.here = consent.Here(addrs)
	if d.o.iMay {
		return where, nil
	}
	sends := fmt.Sprintf("%s, and then up to %d requests for each run on up to %d connections", where.Budget(options), aim.DefaultRequests, aim.DefaultConnections)
	return where, consent.Check(where.Name, addrs, sends)
}

// probed shows and keeps what the probe has found.
func (d *diagnosing) probed(result *probe.Result, found probeFound) error {
	d.show(func(w io.Writer) error {
		return terminal.Fitted(w, columns, func(b *bytes.Buffer) error { found.text(b); return nil })
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
	if d.o.target == "" || len(d.doc.Choice.Tries) == 0 {
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
	return d.end(diagnose.Outcome(d.doc.Tried), "")
}

// try aims an incident at the server, says what to expect, and runs it with its remedies.
func (d *diagnosing) try(try diagnose.Try) (*diagnose.Tried, error) {
	tried := &diagnose.Tried{Try: try}
	p, forecast, err := d.plan(try)
	if err != nil {
		return nil, err
	}
	tried.Forecast = forecast
	hopeless := aim.Hopeless(forecast)
	d.say("", diagnose.Expected(*tried, hopeless))
	d.say("", "")
	if hopeless {
		return tried, nil
	}
	out := ""
	if d.out != "" {
		out = filepath.Join(d.out, try.Incident)
	}
	progress := cli.NewProgress(d.s)
	rep, err := kabench.Reproduce(d.ctx, p, kabench.ReproduceOptions{
		Options: kabench.Options{Out: out, Version: cli.Version(), Stop: d.stop, Progress: progress.Show},
		Before: func(step, steps int, name string) {
			progress.Begin(fmt.Sprintf("%s, run %d of %d, %s", try.Incident, step, steps, name))
		},
		Again:    d.s.Again(progress),
		Forecast: forecast,
	})
	progress.End()
	if rep == nil {
		return nil, err
	}
	tried.Reproduction, d.doc.Reproduced = rep, rep.Reproduced
	d.doc.Settings = diagnose.Settings(rep)
	d.show(func(w io.Writer) error { return d.s.PrintReproduction(rep) })
	d.say("", "")
	return tried, errors.Join(err, d.keepRuns(out, rep))
}

// plan aims an incident at the measured server.
func (d *diagnosing) plan(try diagnose.Try) (*profiles.Profile, *results.Forecast, error) {
	incident, err := profiles.Open(try.Incident, nil)
	if err != nil {
		return nil, nil, err
	}
	return aim.Plan(aim.Order{
		Incident: incident, URL: d.o.target, Server: *d.server, Pool: d.doc.Choice.Pool.Name, Sets: d.o.sets, Here: d.here,
	})
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
	d.doc.Files = slices.DeleteFunc(d.doc.Files, func(f string) bool { return f == fileReport })
	return d.file(fileReport, func(w io.Writer) error { return page.Write(w, data) })
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
	d.here = onThisMachine(d.o.target)
	var texts []string
	for _, try := range d.doc.Choice.Tries {
		sends := diagnose.WouldAim(try, aim.DefaultConnections, aim.DefaultRequests, aim.DefaultTime)
		if d.server != nil {
			_, forecast, err := d.plan(try)
			if err != nil {
				return err
			}
			sends = diagnose.WouldReproduce(diagnose.Tried{Try: try, Forecast: forecast})
			if aim.Hopeless(forecast) {
				texts = append(texts, diagnose.Expected(diagnose.Tried{Try: try, Forecast: forecast}, true))
				continue
			}
		}
		d.doc.Would = append(d.doc.Would, sends)
		texts = append(texts, sends.What)
	}
	return d.end(strings.Join(texts, " "), "")
}

// onThisMachine reports whether the host of a URL is this machine, without asking a name
// server.
func onThisMachine(target string) bool {
	u, err := url.Parse(target)
	if err != nil {
		return false
	}
	if u.Hostname() == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return err == nil && consent.Here([]netip.Addr{addr})
}
