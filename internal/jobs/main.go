// Command jobs measures how often jobs of a CI system are right. It runs many short jobs of
// one service as a CI system runs them, and counts in how many of them kabench says that the
// service is worse than its newest five baselines:
//
//	go run ./internal/jobs --docs docs/ci.md
//
// In a third of the jobs the service is the same as in the baselines, so each alarm is false.
// In a third, one request in a hundred fails in addition. In a third, all responses take 10 %
// longer. The order is random. A job is the command 'kabench run' with a profile, in a process
// of its own; jobs of the unchanged service that pass are added to the store, as on a main
// branch.
//
// The service is a server of net/http in this process, on the loopback device. It draws its
// delays and failures at random, independently of each other.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// options are the command line.
type options struct {
	jobs, atOnce int
	docs         string // a document whose table is replaced
	kabench      string // program; "": build it
	duration     time.Duration
	rate         int // requests a second
	service      service
	fails        float64 // by how much the share of failed requests rises
	slower       float64 // factor of the delays
	sets         []string
	seed         uint64
}

// parse reads the command line. It has printed the help or the error.
func parse(args []string, stderr io.Writer) (*options, error) {
	o := &options{service: usual}
	f := flag.NewFlagSet("jobs", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprint(stderr, "Measure false alarms and detection of CI jobs, on the loopback device; a table goes to stdout.\n\n  go run ./internal/jobs [flags]\n\n")
		f.PrintDefaults()
	}
	f.IntVar(&o.jobs, "jobs", 200, "how many jobs, 3 to 10000")
	f.IntVar(&o.atOnce, "at-once", 2, "how many jobs at a time, 1 to 64; they share the machine's cores")
	f.StringVar(&o.docs, "docs", "", "replace the table in this `DOCUMENT`, between its marks")
	f.StringVar(&o.kabench, "kabench", "", "`program` to run (default: build it)")
	f.DurationVar(&o.duration, "duration", 3*time.Second, "length of a job")
	f.IntVar(&o.rate, "rate", 2000, "requests a second")
	f.Float64Var(&o.service.fails, "failing", usual.fails, "share of requests that fail in the unchanged service, 0 to 1")
	f.Float64Var(&o.fails, "more-failing", 0.01, "by how much that share rises")
	f.Float64Var(&o.slower, "slower", 1.1, "factor of the delays of the slower service")
	f.Func("set", "a profile field, `path=value`, as for 'kabench run'; may be repeated", func(text string) error {
		o.sets = append(o.sets, text)
		return nil
	})
	f.Uint64Var(&o.seed, "seed", 0, "seed of the order of the jobs, and of the random delays and failures; 0: a new one")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	var err error
	switch {
	case f.NArg() > 0:
		err = fmt.Errorf("%q: jobs takes flags only", f.Arg(0))
	case o.jobs < len(kinds) || o.jobs > 10000:
		err = fmt.Errorf("--jobs %d is not between %d and 10000", o.jobs, len(kinds))
	case o.atOnce < 1 || o.atOnce > 64:
		err = fmt.Errorf("--at-once %d is not between 1 and 64", o.atOnce)
	case o.duration < 100*time.Millisecond || o.duration > time.Hour:
		err = fmt.Errorf("--duration %v is not between 100ms and 1h", o.duration)
	case o.rate < 1 || o.rate > 100000:
		err = fmt.Errorf("--rate %d is not between 1 and 100000", o.rate)
	case o.service.fails < 0 || o.fails < 0 || o.service.fails+o.fails > 1:
		err = fmt.Errorf("--failing %v and --more-failing %v do not stay between 0 and 1", o.service.fails, o.fails)
	case o.slower < 0.1 || o.slower > 100:
		err = fmt.Errorf("--slower %v is not between 0.1 and 100", o.slower)
	}
	if err != nil {
		fmt.Fprintf(stderr, "jobs: %v\n", err)
	}
	if o.seed == 0 {
		o.seed = rand.Uint64() | 1
	}
	return o, err
}

// The exit codes, the same as those of kabench.
const (
	exitDone        = 0
	exitFailed      = 1 // more false alarms, or fewer found, than promised
	exitInput       = 2
	exitInterrupted = 130
)

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitDone
	case err != nil:
		return exitInput
	}
	r, err := o.measure(ctx, stderr)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "jobs: interrupted; nothing is written")
		return exitInterrupted
	case err == nil:
		fmt.Fprint(stdout, r.markdown())
		if o.docs != "" {
			err = r.placeIn(o.docs)
		}
	}
	if err != nil {
		fmt.Fprintf(stderr, "jobs: %v\n", err)
		return exitInput
	}
	if r.broken() {
		return exitFailed
	}
	return exitDone
}

// measure runs all jobs.
func (o *options) measure(ctx context.Context, stderr io.Writer) (*report, error) {
	dir, err := os.MkdirTemp("", "kabench-jobs-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if o.kabench == "" {
		o.kabench = filepath.Join(dir, "kabench")
		if text, err := exec.CommandContext(ctx, "go", "build", "-o", o.kabench, "github.com/kabench/kabench/cmd/kabench").CombinedOutput(); err != nil {
			return nil, fmt.Errorf("building kabench: %w\n%s", err, text)
		}
	}
	urls, stop, err := o.serve()
	if err != nil {
		return nil, err
	}
	defer stop()
	p := &place{options: o, dir: dir, urls: urls, profile: filepath.Join(dir, "job.yaml")}
	if err := os.WriteFile(p.profile, []byte(o.profile()), 0o600); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := p.fill(ctx); err != nil {
		return nil, err
	}
	r := &report{options: o, began: began}
	next, list := 0, o.order()
	var mu sync.Mutex // guards next, r and failed
	var failed error
	var all sync.WaitGroup
	for range o.atOnce {
		all.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				over := i >= len(list) || failed != nil
				mu.Unlock()
				if over {
					return
				}
				j, err := p.job(ctx, fmt.Sprintf("job-%d", i), list[i])
				mu.Lock()
				if err != nil && failed == nil {
					failed = err
				}
				r.jobs = append(r.jobs, j)
				fmt.Fprintf(stderr, "%d of %d: %s: %s\n", len(r.jobs), len(list), j.kind.name, j.says())
				mu.Unlock()
			}
		})
	}
	all.Wait()
	r.took = time.Since(began)
	return r, failed
}

// order returns the kinds of the jobs in random order, equally many of each.
func (o *options) order() []kind {
	list := make([]kind, o.jobs)
	for i := range list {
		list[i] = kinds[i%len(kinds)]
	}
	rand.New(rand.NewPCG(o.seed, 1)).Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// profile is what each job runs.
func (o *options) profile() string {
	return strings.NewReplacer("RATE", fmt.Sprint(o.rate), "DURATION", o.duration.String()).Replace(`name: job
question: Is the service worse than its newest five baselines?
load: {rate: RATE/s, duration: DURATION}
pool: {max_conns: 1000}
expect:
  failures.rate: not worse than baseline
  response.p99: not worse than baseline
`)
}
