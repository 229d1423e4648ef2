package own

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/diagnose"
	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/results/record"
)

// next says what the step after this one is for.
func (d *diagnosing) next(step string) string {
	tries := len(d.doc.Choice.Tries) > 0
	switch {
	case step == diagnose.Explain && d.o.Target != "" && d.server == nil:
		return "probe measures " + d.doc.Target + ", above all when it closes idle connections."
	case step == diagnose.Explain && d.server != nil:
		return fmt.Sprintf("lint compares the pool %s with the server in %s.", d.doc.Choice.Pool.Name, d.o.server)
	case step == diagnose.Explain:
		return fmt.Sprintf("lint checks the pool %s, as far as that is possible without its server.", d.doc.Choice.Pool.Name)
	case step == diagnose.Probe:
		return fmt.Sprintf("lint compares the pool %s with what was measured.", d.doc.Choice.Pool.Name)
	case d.o.Target == "":
		return "give --target with the URL of the server that the client talked to. kabench then measures that server and tries the incident on it; --dry-run says beforehand how much it would send."
	case !tries:
		return ""
	}
	return fmt.Sprintf("reproduce tries %s on %s, and then its remedies.", d.doc.Choice.Tries[0].Incident, d.doc.Target)
}

// conclude prints the last paragraphs: the verdict, and what else would show the cause.
func (d *diagnosing) conclude() {
	if d.doc.Verdict == "" {
		d.doc.Verdict = diagnose.Verdict(d.measured, d.doc.Choice, d.doc.Findings, d.doc.Tried)
	}
	if d.doc.Interrupted {
		d.doc.Verdict = strings.TrimSpace("The diagnosis was interrupted. " + d.doc.Verdict)
	}
	prefix := "Verdict: "
	for line := range strings.Lines(d.doc.Verdict) {
		d.say(prefix, strings.TrimSpace(line))
		prefix = strings.Repeat(" ", len(prefix))
	}
	prefix = "Setting: "
	for _, s := range d.doc.Settings {
		d.say(prefix, diagnose.Spelled(s))
		prefix = strings.Repeat(" ", len(prefix))
		if s.Text == "" {
			continue
		}
		d.show(func(w io.Writer) error { // on a line of its own, to be copied
			_, err := fmt.Fprintf(w, "%s%s\n", prefix, layout.OneLine(s.Text))
			return err
		})
		if s.Note != "" {
			d.say(prefix, "("+strings.TrimSuffix(s.Note, ".")+")")
		}
	}
	if d.exists(cli.FileDiagnosisPage) {
		d.say("Keep: ", fmt.Sprintf("%s to show to others, and %s to run the incident again with 'kabench reproduce', in CI too.", filepath.Join(d.out, cli.FileDiagnosisPage), filepath.Join(d.out, d.last(), record.FileIncident)))
	}
	if d.doc.Reproduced {
		return
	}
	for _, n := range d.doc.Choice.Not {
		if n.RuledOut {
			d.say("Ruled out: ", fmt.Sprintf("%s, because %s. What would show the cause: %s.", n.Incident, n.Why, n.Capture))
			continue
		}
		d.say("Also possible: ", fmt.Sprintf("%s. It cannot be caused from outside: %s. What would show it: %s.", n.Incident, n.Why, n.Capture))
	}
}

// code is the exit code of a diagnosis that came to its end.
func (d *diagnosing) code() exit.Code {
	switch {
	case d.doc.Would != nil, d.doc.Reproduced:
		return exit.Done
	case d.o.Target == "" && d.doc.Explanation.Known && len(d.doc.Findings) == 0:
		return exit.Done
	}
	for _, t := range d.doc.Tried {
		if t.Reproduction != nil && exit.OfReproduction(t.Reproduction) == exit.Invalid {
			return exit.Invalid
		}
	}
	return exit.Unmet
}

// last returns the incident that was run last.
func (d *diagnosing) last() string {
	name := ""
	for _, t := range d.doc.Tried {
		if t.Reproduction != nil {
			name = t.Incident
		}
	}
	return name
}
