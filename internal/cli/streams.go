// Package cli is the kit of kabench's commands: where they print to, their progress, the flags,
// steps and texts that several commands share, the output file, and completion. The
// commands are in the rooms below it.
package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/incidents"
	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/internal/terminal"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
	"github.com/kabench/kabench/results/text"
)

// Streams are where commands write to, and in which form.
type Streams struct {
	Out, Err io.Writer
	// Errors gets what must be said with --quiet too: what could not be done although the
	// command goes on, and what was asked for on standard error.
	Errors io.Writer
	JSON   bool
	Quiet  bool   // nothing goes to Err
	Colour string // as --color has it

	stdout, stderr io.Writer
}

// NewStreams returns the streams of a command: results go to stdout, everything else to stderr.
func NewStreams(stdout, stderr io.Writer) *Streams {
	screen := terminal.NewScreen(stderr)
	return &Streams{Out: terminal.Output{Writer: stdout}, Err: screen, Errors: screen, stdout: stdout, stderr: stderr}
}

// Settle has the streams do as the flags say, which have been read now. The error is about one of
// them.
func (s *Streams) Settle() error {
	when := terminal.When(s.Colour)
	out, err := when.Colours(s.stdout)
	if err != nil {
		return err
	}
	s.Out = terminal.Output{Writer: s.stdout, Colour: out && !s.JSON}
	if screen, ok := s.Err.(*terminal.Screen); ok {
		chatter, _ := when.Colours(s.stderr)
		screen.SetColour(chatter)
	}
	if s.Quiet {
		s.Err = io.Discard
	}
	return nil
}

// Plain is Out for data, which is never coloured.
func (s *Streams) Plain() io.Writer {
	if o, ok := s.Out.(terminal.Output); ok {
		o.Colour = false
		return o
	}
	return s.Out
}

// Line prints one line: v as JSON with --json, the text otherwise.
func (s *Streams) Line(v any, format string, args ...any) error {
	if s.JSON {
		return json.NewEncoder(s.Out).Encode(v)
	}
	_, err := fmt.Fprintf(s.Out, format+"\n", args...)
	return err
}

// Saved says where results were kept; with dir "" nothing was.
func (s *Streams) Saved(dir string) {
	if dir != "" {
		fmt.Fprintf(s.Err, "results: %s (kabench report %s)\n", dir, dir)
	}
}

// PrintRun prints the document of a run.
func (s *Streams) PrintRun(run *results.Run) error {
	if s.JSON {
		return record.EncodeRun(s.Out, run)
	}
	return text.RenderRun(s.Out, run)
}

// RunMade prints a run and says where its results are. err is that of the run; the error is
// the command's.
func (s *Streams) RunMade(run *results.Run, err error, out string) error {
	if printErr := s.PrintRun(run); printErr != nil {
		return printErr
	}
	if err != nil {
		return err
	}
	s.Saved(out)
	return exit.OfRun(run).Err()
}

// PrintReproduction prints an incident with its remedies.
func (s *Streams) PrintReproduction(rep *results.Reproduction) error {
	if s.JSON {
		return record.EncodeReproduction(s.Out, rep)
	}
	return text.RenderReproduction(s.Out, rep)
}

// Again returns the function for kabench.ReproduceOptions.Again. It says which run is
// repeated, and why.
func (s *Streams) Again(p *Progress) func(results.MadeAgain) {
	return func(a results.MadeAgain) {
		p.End()
		if !s.JSON {
			fmt.Fprintf(s.Err, "kabench: the run of %s was invalid and is repeated (%d of at most %d times): %s\n", a.Run, a.Try, kabench.MostAgain, layout.OneLine(shortReason(a.Invalid)))
		}
	}
}

// shortReason returns the first sentence of the first reason; the report has all of them.
func shortReason(invalid []string) string {
	text, more := "no reason was recorded", ""
	if len(invalid) > 0 {
		text, _, _ = strings.Cut(invalid[0], ". ")
	}
	if len(invalid) > 1 {
		more = fmt.Sprintf(" (and %s)", results.FormatCount(uint64(len(invalid)-1), "more reason"))
	}
	return text + more
}

// PrintComparison prints a comparison.
func (s *Streams) PrintComparison(c *results.Comparison) error {
	if s.JSON {
		return record.EncodeComparison(s.Out, c)
	}
	return text.RenderComparison(s.Out, c)
}

// PrintIncidents prints the outcomes of incidents. of is how many there were to be, and out is
// where the results are.
func (s *Streams) PrintIncidents(done []*incidents.Result, of int, out string) error {
	if s.JSON {
		return incidents.PrintJSON(s.Out, done)
	}
	return incidents.Print(s.Out, done, of, out)
}

// Version returns the module's version as built: a tag, or "devel" and the revision.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && len(setting.Value) >= 12 {
			return "devel-" + setting.Value[:12]
		}
	}
	return "devel"
}
