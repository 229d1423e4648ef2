package measure

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/usage"
	"github.com/kabench/kabench/profiles/matrix"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// resume continues the comparison in o.resume. Secrets are not kept, so a comparison that
// needs some is resumed with the arguments that it was begun with.
func resume(c *cobra.Command, s *cli.Streams, o *compareOptions, args []string) error {
	fromKept := len(args) == 0 && o.Target == "" && o.Targets == ""
	if err := o.checkResume(c, args, fromKept); err != nil {
		return err
	}
	begun, err := openBegun(o.resume)
	if err != nil {
		return fmt.Errorf("--resume %s: %w", o.resume, err)
	}
	p := &matrix.Plan{
		Name: begun.Name, Question: begun.Question, Axes: begun.Axes, Repeats: begun.Repeats, Seed: begun.Seed,
		CoolDown: time.Duration(begun.CoolDown * float64(time.Second)),
	}
	if fromKept {
		err = keptArms(p, begun)
	} else {
		err = o.askedArms(p, args)
	}
	if err != nil {
		return fmt.Errorf("--resume %s: %w", o.resume, err)
	}
	if begun.Version != cli.Version() {
		fmt.Fprintf(s.Err, "kabench: kabench %s began this comparison, and this is kabench %s\n", begun.Version, cli.Version())
	}
	return makeRuns(c, s, o, p, o.resume, true)
}

// checkResume refuses arguments that cannot be combined with --resume. With fromKept the
// settings come from the directory, so no flag may change them.
func (o *compareOptions) checkResume(c *cobra.Command, args []string, fromKept bool) error {
	switch {
	case len(args) > 1 || len(args) == 1 && finished(args):
		return usage.Errorf(c.CommandPath(), "--resume %s continues that comparison; name no other directories", o.resume)
	case o.Has("out"):
		return usage.Errorf(c.CommandPath(), "--resume %s adds to the results there; leave out --out", o.resume)
	case o.anyQuestion:
		return usage.Errorf(c.CommandPath(), "--any-question is only for directories of finished runs")
	case !fromKept:
		return nil
	}
	for _, flag := range []string{"pool", "driver", "axis", "set", "repeats", "seed", "cool-down", "format", "client", "rate", "arrivals", "duration", "warm-up"} {
		if o.Has(flag) {
			return usage.Errorf(c.CommandPath(), "--%s: --resume takes the settings from %s; leave it out, or give all the arguments that the comparison was started with", flag, o.resume)
		}
	}
	return nil
}

// openBegun reads the plan of the comparison that was begun in dir.
func openBegun(dir string) (*results.Plan, error) {
	begun, err := record.OpenPlan(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("this directory has no comparison to continue; name the directory given with --out")
	}
	if err == nil && begun.Kind != record.KindComparison {
		err = fmt.Errorf("it holds the runs of the %s %s, not a comparison; run that again instead", begun.Kind, begun.Name)
	}
	return begun, err
}

// keptArms takes the settings from the plan that was kept.
func keptArms(p *matrix.Plan, begun *results.Plan) error {
	arms, err := kabench.PlannedArms(begun)
	for _, arm := range arms {
		p.Arms = append(p.Arms, matrix.Arm(arm))
	}
	return err
}

// askedArms takes the settings from the command line.
func (o *compareOptions) askedArms(p *matrix.Plan, args []string) error {
	if len(args) > 0 {
		o.Profile = args[0]
	}
	asked, err := o.plan()
	if err != nil {
		return err
	}
	p.Arms = asked.Arms
	if o.Has("repeats") {
		p.Repeats = asked.Repeats
	}
	if asked.Seed != 0 {
		p.Seed = asked.Seed
	}
	return nil
}
