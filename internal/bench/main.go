package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == serveCommand {
		os.Exit(serveMain())
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// serveMain runs this program as the recording server. It ignores an interrupt from the
// terminal, and ends when bench has ended.
func serveMain() int {
	signal.Ignore(os.Interrupt)
	srv, err := newServer()
	if err == nil {
		err = serve(srv, os.Stdin, os.Stdout)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: recording server: %v\n", err)
		return 1
	}
	return 0
}

// options are the command line.
type options struct {
	repeats   int
	quick     bool
	install   bool
	out, json string
	docs      string // a document whose tables are replaced
	kabench   string
	tools     []string // none: all
	scenarios []string // none: all
	seed      uint64
	waitQuiet time.Duration
}

// parse reads the command line. Its error is flag.ErrHelp or says what is wrong. It has
// printed the help or the error.
func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	var toolList, scenarioList string
	var install, noInstall bool
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprintf(stderr, "Measure kabench beside other load generators, on the loopback device; Markdown goes to stdout.\n\n"+
			"  go run ./internal/bench [flags]\n\n")
		f.PrintDefaults()
	}
	f.IntVar(&o.repeats, "repeats", 5, "how often each scenario is measured, 1 to 100")
	f.BoolVar(&o.quick, "quick", false, "a smoke run: once, two seconds, short searches")
	f.StringVar(&o.out, "out", "", "write the Markdown to `FILE` instead of stdout")
	f.StringVar(&o.json, "json", "", "write all figures to `FILE`")
	f.StringVar(&o.docs, "docs", "", "replace the tables of the measured scenarios in this `DOCUMENT`, such as docs/performance.md, between its marks")
	f.StringVar(&o.kabench, "kabench", "", "measure this `BINARY` instead of building kabench")
	f.StringVar(&toolList, "tools", "", "only these tools, such as kabench,wrk2: "+strings.Join(names(tools, func(t tool) string { return t.name }), " "))
	f.StringVar(&scenarioList, "scenarios", "", "only these `SCENARIOS`, such as steady,fast; hour is measured only if it is named: "+strings.Join(names(scenarios(false), func(s scenario) string { return s.name }), " "))
	f.Uint64Var(&o.seed, "seed", 0, "seed of the order of the tools; 0: a new one")
	f.DurationVar(&o.waitQuiet, "wait-quiet", 0, "wait at most this long before each measurement until the rest of the machine is quiet")
	f.BoolVar(&install, "install", true, "get missing tools: Go modules into the user's cache, and as root Debian packages with apt-get")
	f.BoolVar(&noInstall, "no-install", false, "do not install missing tools, measure without them")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.install = install && !noInstall
	if o.quick {
		o.repeats = 1
	}
	if o.seed == 0 {
		o.seed = rand.Uint64() | 1
	}
	var err error
	if f.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if o.repeats < 1 || o.repeats > 100 {
		err = errors.Join(err, fmt.Errorf("--repeats %d: want 1 to 100", o.repeats))
	}
	if o.waitQuiet < 0 {
		err = errors.Join(err, fmt.Errorf("--wait-quiet %v: want 0 or more", o.waitQuiet))
	}
	var wrong error
	o.tools, wrong = choose("--tools", toolList, names(tools, func(t tool) string { return t.name }))
	err = errors.Join(err, wrong)
	o.scenarios, wrong = choose("--scenarios", scenarioList, names(scenarios(false), func(s scenario) string { return s.name }))
	if err = errors.Join(err, wrong); err != nil {
		fmt.Fprintf(stderr, "bench: %v\n", err)
	}
	return o, err
}

func names[T any](all []T, name func(T) string) []string {
	var out []string
	for _, one := range all {
		out = append(out, name(one))
	}
	return out
}

// choose splits a list at its commas. Each part must be one of known.
func choose(flag, list string, known []string) ([]string, error) {
	if list == "" {
		return nil, nil
	}
	chosen := strings.Split(list, ",")
	for _, name := range chosen {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("%s: there is no %q; there are %s", flag, name, strings.Join(known, ", "))
		}
	}
	return chosen, nil
}

// The exit codes, the same as those of kabench.
const (
	exitDone        = 0
	exitFailed      = 1
	exitInput       = 2
	exitInterrupted = 130
)

// run is the program: the report goes to stdout, progress to stderr.
func run(args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitDone
	case err != nil:
		return exitInput
	}
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer restore()
	r := &report{
		Date: time.Now(), Machine: thisMachine(), Seed: o.seed, Repeats: o.repeats,
		Command: strings.Join(append([]string{"go run ./internal/bench"}, args...), " "),
	}
	err = measureAll(ctx, o, r, stderr)
	if ctx.Err() != nil {
		r.Interrupted = true
		fmt.Fprintln(stderr, "bench: interrupted; the report has what was measured so far")
	} else if err != nil {
		r.Failed = err.Error()
		fmt.Fprintf(stderr, "bench: %v\n", err)
	}
	if werr := r.write(o, stdout); werr != nil {
		fmt.Fprintf(stderr, "bench: %v\n", werr)
		err = errors.Join(err, werr)
	}
	switch {
	case r.Interrupted:
		return exitInterrupted
	case err != nil:
		return exitFailed
	}
	return exitDone
}

// write writes the report to the files of the flags, or to stdout.
func (r *report) write(o options, stdout io.Writer) error {
	var err error
	if o.json != "" {
		data, jerr := json.MarshalIndent(r, "", " ")
		if jerr == nil {
			jerr = os.WriteFile(o.json, append(data, '\n'), 0o644)
		}
		err = jerr
	}
	if o.docs != "" {
		err = errors.Join(err, r.placeIn(o.docs))
	}
	if o.out == "" {
		return errors.Join(err, r.markdown(stdout))
	}
	var text strings.Builder
	return errors.Join(err, r.markdown(&text), os.WriteFile(o.out, []byte(text.String()), 0o644))
}

// measureAll fills the report. After an error the report keeps what was measured.
func measureAll(ctx context.Context, o options, r *report, log io.Writer) (err error) {
	temp, err := os.MkdirTemp("", "kabench-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	for _, sc := range scenarios(o.quick) {
		if len(o.scenarios) == 0 && !sc.asked || slices.Contains(o.scenarios, sc.name) {
			r.scenarios = append(r.scenarios, sc)
		}
	}
	b := &bench{
		programs: map[string]string{}, addrs: map[manner]string{}, dir: temp, log: log, waitQuiet: o.waitQuiet,
		rng: rand.New(rand.NewPCG(o.seed, 0)), loopback: byte(1 + o.seed%250),
	}
	present, err := b.get(ctx, o, r, temp)
	if err != nil {
		return err
	}
	help := ""
	if path := b.programs[kabenchName]; path != "" {
		if help, err = helpOf(ctx, path); err != nil {
			return err
		}
	}
	entries, cannot := plan(r.scenarios, present, func(flag string) bool { return strings.Contains(help, flag) })
	r.CannotDo = cannot
	if err := raiseFiles(); err != nil {
		fmt.Fprintf(log, "bench: scenarios with many connections may fail: %v\n", err)
	}

	exe, err := os.Executable()
	if err != nil {
		return err
	}
	if b.rec, err = startRecorder(exe); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.rec.close()) }()
	find := search{rate: 5_000, min: 300, max: 320_000, steps: 18}
	if o.quick {
		find.steps = 4
	}
	for number := 1; number <= o.repeats; number++ {
		if err := b.repeat(ctx, number, entries, find, func(s sample) { r.Samples = append(r.Samples, s) }); err != nil {
			return err
		}
	}
	return nil
}

// get finds or installs the tools. The report names those that are missing.
func (b *bench) get(ctx context.Context, o options, r *report, temp string) ([]tool, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = temp // no home directory: the next run builds the tools again
	}
	in := installer{install: o.install, cache: filepath.Join(cache, "kabench-bench"), temp: temp, log: b.log}
	var present []tool
	for _, t := range tools {
		if len(o.tools) > 0 && !slices.Contains(o.tools, t.name) {
			continue
		}
		var path string
		var err error
		switch {
		case t.name != kabenchName:
			path, err = in.get(ctx, t)
		case o.kabench != "":
			path, err = filepath.Abs(o.kabench)
		default:
			path, err = in.kabench(ctx)
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil && t.name == kabenchName {
			return nil, err
		}
		if err != nil {
			r.LeftOut = append(r.LeftOut, t.name+": "+err.Error())
			fmt.Fprintf(b.log, "bench: left out: %s: %v\n", t.name, err)
			continue
		}
		b.programs[t.name] = path
		present = append(present, t)
		r.Programs = append(r.Programs, program{t.name, origin(ctx, t, path, o.kabench == "")})
	}
	return present, nil
}

// origin returns the version of a tool: that of its module or package, or the output of
// kabench version, with the revision of this repository if kabench was built here.
func origin(ctx context.Context, t tool, path string, built bool) string {
	switch {
	case t.module != "" || t.crate != "":
		return t.module + t.crate
	case t.says != "":
		// wrk prints its version and ends with 1.
		text, _ := exec.CommandContext(ctx, path, t.says).CombinedOutput()
		version, _, _ := strings.Cut(string(text), " Copyright")
		return strings.TrimSpace(version) + " (" + path + ")"
	case t.name == kabenchName:
		out, err := outputOf(ctx, path, "version")
		if err != nil {
			return path
		}
		if revision, err := outputOf(ctx, "git", "describe", "--always", "--dirty"); err == nil && built {
			out += ", git " + revision
		}
		return out
	case t.debian != "":
		if out, err := outputOf(ctx, "dpkg-query", "-W", "-f", "${Package} ${Version} (Debian)", t.debian); err == nil {
			return out
		}
	}
	return path
}
