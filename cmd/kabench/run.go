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

	"github.com/kabench/kabench/internal/harness"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// runOptions are the flags of `kabench run`.
type runOptions struct {
	profile string
	target  string
	targets string
	format  string
	sets    []string
	out     string
	against []string // directories of the baselines
	bare    bool
	changes changes
	trace   traceOptions
	live    liveOptions
}

// changes are flags that stand for profile fields, in the order of the help.
type changes []change

type change struct {
	flag, path string
	value      string
}

func newRun(s *streams) *cobra.Command {
	o := &runOptions{changes: changes{
		{flag: "rate", path: "load.rate"}, {flag: "arrivals", path: "load.arrivals"},
		{flag: "duration", path: "load.duration"}, {flag: "warm-up", path: "load.warm_up"},
		{flag: "seed", path: "load.seed"}, {flag: "pool", path: "pool"}, {flag: "client", path: "client"},
	}}
	usage := map[string]string{
		"rate":     "requests per second, as 400/s or 24000/m",
		"arrivals": "arrival process: constant, poisson, sine, ramp, burst or uniform",
		"duration": "how long requests are due after the warm-up, as 30s",
		"warm-up":  "how long to warm up first; not counted",
		"seed":     "of random arrivals, to make a run again",
		"pool":     "pool preset or YAML file",
		"client":   "policy (the pool above) or stock (net/http's Transport as shipped)",
	}
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
		Args:              args(cobra.MaximumNArgs(1)),
		ValidArgsFunction: completeProfiles,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.profile = args[0]
			}
			for i := range o.changes {
				if !c.Flags().Changed(o.changes[i].flag) {
					o.changes[i].path = ""
				}
			}
			return doRun(c, s, o)
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.target, "target", "", "URL to send to, in place of the profile's target")
	f.StringVar(&o.targets, "targets", "", "vegeta target file with what to send")
	f.StringVar(&o.format, "format", "", "format of --targets: http (default) or json")
	for i := range o.changes {
		f.StringVar(&o.changes[i].value, o.changes[i].flag, "", usage[o.changes[i].flag])
	}
	f.StringArrayVar(&o.sets, "set", nil, "set any profile field, as pool.idle_timeout=3s; may be repeated")
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
	run, err := harness.Run(ctx, p, harness.Options{
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
func (o *runOptions) load() (*profiles.Profile, error) {
	if o.profile == "" && o.target == "" && o.targets == "" && len(o.sets) == 0 {
		return nil, &usageError{"kabench run", errors.New("nothing to send to: name a profile ('kabench profiles' lists some), or give --target URL --rate 300/s")}
	}
	if o.target != "" && o.targets != "" {
		return nil, &usageError{"kabench run", errors.New("--target and --targets both say where to send; give one (the URLs are in the target file)")}
	}
	if o.format != "" && o.targets == "" {
		return nil, &usageError{"kabench run", errors.New("--format is that of --targets, which is not given")}
	}
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
		if c.path != "" {
			sets = append(sets, c.path+"="+c.value)
		}
	}
	p, err := loadProfile(o.profile, append(sets, o.sets...))
	if err != nil {
		return nil, o.inFlags(err)
	}
	if p.Name == "" {
		p.Name = "run"
		if u, err := url.Parse(p.Target.URL); err == nil && u.Hostname() != "" {
			p.Name = u.Hostname()
		}
	}
	return p, nil
}

// inFlags makes complaints about what a flag set name the flag.
func (o *runOptions) inFlags(err error) error {
	list, ok := errors.AsType[profiles.Errors](err)
	if !ok {
		return err
	}
	for i, c := range list {
		for _, ch := range o.changes {
			if ch.path != "" && c.Source == "--set "+ch.path+"="+ch.value {
				list[i].Source = "--" + ch.flag + " " + ch.value
				if c.Path == ch.path {
					list[i].Path = ""
				}
			}
		}
		if o.target != "" && c.Source == "--set target.url="+o.target {
			list[i].Source, list[i].Path = "--target "+o.target, ""
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
		safe := strings.Map(func(r rune) rune {
			if r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
				return r
			}
			return '-'
		}, name)
		return filepath.Join(resultsDir, time.Now().UTC().Format(resultsTime)+"-"+safe)
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
