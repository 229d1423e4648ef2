package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// runOptions are the flags of `kabench run`.
type runOptions struct {
	traffic
	out     string
	against []string // directories of the baselines
	bare    bool
	trace   traceOptions
	live    liveOptions
}

func newRun(s *streams) *cobra.Command {
	o := &runOptions{traffic: traffic{command: "kabench run"}}
	c := &cobra.Command{
		Use:   "run [PROFILE]",
		Short: "Send a profile's traffic, and report what happened",
		Long: `Send the traffic of a profile (a YAML file, or the name of one that comes with kabench) and
report how every request ended. Without a profile, --target and --rate are enough.

The results are a directory: profile.yaml, exchanges.ndjson.zst, samples.ndjson,
latency.hlog and run.json.`,
		Example: `  kabench run --target http://localhost:8080/ --rate 300/s
  kabench run steady --rate 800/s --duration 20s --set pool.idle_timeout=3s
  kabench run --targets targets.txt --rate 50/s --arrivals poisson --json`,
		Args:              oneAtMost("profile"),
		ValidArgsFunction: completeProfiles,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.profile = args[0]
			}
			o.given(c)
			return doRun(c, s, o)
		},
	}
	f := c.Flags()
	f.SortFlags = false
	o.flags(c, change{flag: "seed", path: "load.seed", usage: "of random arrivals, to make a run again"},
		change{flag: "pool", path: "pool", usage: "pool preset or YAML file"})
	f.StringVar(&o.out, "out", "", "directory for the results; none: keep nothing (default kabench-results/TIME-NAME)")
	f.StringArrayVar(&o.against, "baseline", nil, "directory of an earlier run that expect and abort_when may name, or of several of the same; may be repeated")
	f.BoolVar(&o.bare, "no-instruments", false, "watch nothing and keep nothing: what is left when the cost of watching is to be known")
	o.trace.flags(c)
	o.live.flags(c)
	return c
}

func doRun(c *cobra.Command, s *streams, o *runOptions) error {
	p, err := o.load()
	if err != nil {
		return err
	}
	baseline, err := openBaselines(o.against)
	if err != nil {
		return err
	}
	trace, silent, err := o.trace.open(c.CommandPath(), s.err)
	if err != nil {
		return err
	}
	feed, page, err := o.live.open(c.CommandPath(), s, o.bare)
	if err != nil {
		return err
	}
	ctx, stop, restore := interruptible(c.Context(), s.err)
	defer page.close(c.Context(), s, stop)
	defer restore()
	out := outDir(o.out, p.Name)
	if o.bare {
		out = ""
	}
	progress := newProgress(s)
	progress.title, progress.silent = p.Name, progress.silent || silent
	run, err := kabench.Run(ctx, p, kabench.Options{
		Out: out, Bare: o.bare, Version: version(), Stop: stop, Baseline: baseline, Live: feed, Progress: progress.show, Trace: trace.add(),
	})
	progress.end()
	traceErr := trace.close()
	if run == nil {
		return err
	}
	err = errors.Join(err, traceErr)
	if printErr := s.printRun(run); printErr != nil {
		return printErr
	}
	if err != nil {
		return err
	}
	s.saved(out)
	return codeOf(run)
}

// load makes the profile that the command line describes.
func (o *traffic) load() (*profiles.Profile, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	p, err := loadProfile(o.profile, o.allSets())
	if err != nil {
		return nil, o.inFlags(err)
	}
	o.name(p)
	return p, nil
}

// check refuses flags that say nothing, or two things.
func (o *traffic) check() error {
	switch {
	case o.profile == "" && o.target == "" && o.targets == "" && len(o.sets) == 0:
		return &usageError{o.command, errors.New("nothing to send to: name a profile ('kabench profiles' lists some), or give --target URL --rate 300/s")}
	case o.target != "" && o.targets != "":
		return &usageError{o.command, errors.New("--target and --targets both say where to send; give one (the URLs are in the target file)")}
	case o.format != "" && o.targets == "":
		return &usageError{o.command, errors.New("--format is that of --targets, which is not given")}
	}
	return nil
}

// allSets are the flags as --set would be given them, what --set was given last.
func (o *traffic) allSets() []string {
	var sets []string
	if o.target != "" || o.targets != "" {
		sets = append(sets, "target.lab=null", "target.link=null", "target.proxies=null", "target.on=null", "target.at=", "network=null")
	}
	if o.target != "" {
		sets = append(sets, "target.file=", "target.url="+o.target)
	}
	if o.targets != "" {
		sets = append(sets, "target.url=", "target.file="+o.targets, "target.format="+o.format)
	}
	for _, c := range o.changes {
		sets = append(sets, c.path+"="+c.value)
	}
	return append(sets, o.sets...)
}

// name gives a profile without a name that of the host it sends to.
func (o *traffic) name(p *profiles.Profile) {
	if p.Name != "" {
		return
	}
	p.Name = "run"
	if u, err := url.Parse(p.Target.URL); err == nil && u.Hostname() != "" {
		p.Name = u.Hostname()
	}
}

// inFlags makes complaints about what a flag set name the flag.
func (o *traffic) inFlags(err error) error {
	list, ok := errors.AsType[profiles.Errors](err)
	if !ok {
		return err
	}
	for i, c := range list {
		for _, ch := range o.changes {
			if c.Source == "--set "+ch.path+"="+ch.value {
				list[i].Source = "--" + ch.flag + " " + ch.value
				if c.Path == ch.path {
					list[i].Path = ""
				}
			}
		}
		if o.target != "" && strings.HasPrefix(c.Source, "--set target.url=") { // what follows may be blanked
			list[i].Source, list[i].Path = "--target "+o.target, ""
		}
		if o.format != "" && c.Source == "--set target.format="+o.format {
			list[i].Source, list[i].Path = "--format "+o.format, ""
		}
		if c.Path == "load.rate" && c.Source == "" {
			list[i].Text += " (or --rate 300/s)"
		}
	}
	return list
}

// loadProfile reads the profile of that name or in that file; "" is one made of
// sets alone.
func loadProfile(nameOrFile string, sets []string) (*profiles.Profile, error) {
	switch {
	case nameOrFile == "":
		return profiles.Load("", nil, sets)
	case strings.ContainsAny(nameOrFile, `./\`):
		if data, err := os.ReadFile(nameOrFile); err == nil && profiles.IsMatrix(data) {
			return nil, fmt.Errorf("%s is a matrix of settings, not a profile: kabench compare %s", nameOrFile, nameOrFile)
		}
		return profiles.LoadFile(nameOrFile, sets)
	}
	embedded, found := profiles.Find(nameOrFile)
	if !found {
		return nil, profiles.NotFound(nameOrFile)
	}
	return profiles.Load(embedded.Name, []byte(embedded.Text), sets)
}

// resultsDir is where results go unless told otherwise.
const resultsDir = "kabench-results"

// resultsTime is how the names of directories in it begin, in UTC.
const resultsTime = "20060102-150405.000"

// outDir is where the results of a run with that name go; "": nowhere.
func outDir(flag, name string) string {
	switch flag {
	case "none":
		return ""
	case "":
		return filepath.Join(resultsDir, time.Now().UTC().Format(resultsTime)+"-"+results.Slug(name, "-_"))
	}
	return flag
}

// codeOf is the exit code a run deserves; nil for 0.
func codeOf(run *results.Run) error {
	switch {
	case run.Interrupted && run.Stopped == nil:
		return exitCode(exitInterrupted)
	case !run.Valid:
		return exitCode(exitInvalid)
	case run.Stopped != nil:
		return exitCode(exitUnmet)
	}
	for _, e := range run.Expect {
		if !e.Met {
			return exitCode(exitUnmet)
		}
	}
	return nil
}

func (s *streams) printRun(run *results.Run) error {
	if s.json {
		return results.EncodeRun(s.out, run)
	}
	return results.RenderRun(s.out, run)
}

func (s *streams) saved(dir string) {
	if dir != "" {
		fmt.Fprintf(s.err, "results: %s (kabench report %s)\n", dir, dir)
	}
}
