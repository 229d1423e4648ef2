package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/profiles"
)

// withPages are the incidents that have a page as well: a race, a queue and a port range
// that fill up.
const withPages = "idle-race,pending-queue-full,port-exhaustion"

// options are the command line.
type options struct {
	out     string
	only    list
	html    list
	jobs    int
	kabench string
	sets    sets
}

func main() {
	os.Exit(int(run(os.Args[1:], os.Stderr)))
}

// run makes the reports. It prints nothing on standard output.
func run(args []string, stderr io.Writer) exit.Code {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exit.Done
	}
	if err == nil {
		err = o.make(context.Background(), stderr)
	}
	if code, ok := exit.From(err); ok {
		return code
	}
	if err != nil {
		fmt.Fprintf(stderr, "gallery: %v\n", err)
		return exit.Input
	}
	return exit.Done
}

func parse(args []string, stderr io.Writer) (*options, error) {
	o := &options{html: strings.Split(withPages, ",")}
	f := flag.NewFlagSet("gallery", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.out, "out", filepath.Join("docs", "reports"), "`directory` to write to")
	f.Var(&o.only, "only", "`incidents` to reproduce, separated by commas (default all)")
	f.Var(&o.html, "html", "`incidents` that get a page as well")
	f.IntVar(&o.jobs, "jobs", 1, "how many incidents at a time; they share the machine's cores")
	f.StringVar(&o.kabench, "kabench", "", "`program` to run (default: build it)")
	f.Var(&o.sets, "set", "a profile field, `path=value`, as for 'kabench reproduce', for tests on busy machines; the reports do not mention it")
	if err := f.Parse(args); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			err = exit.Input // the flag set has printed what is wrong
		}
		return nil, err
	}
	switch {
	case f.NArg() > 0:
		return nil, fmt.Errorf("%q: gallery takes flags only", f.Arg(0))
	case o.jobs < 1 || o.jobs > 64:
		return nil, fmt.Errorf("-jobs %d is not between 1 and 64", o.jobs)
	}
	for _, name := range slices.Concat(o.only, o.html) {
		if !slices.ContainsFunc(profiles.Incidents(), func(e profiles.Embedded) bool { return e.Name == name }) {
			return nil, fmt.Errorf("%s: kabench has no such incident; 'kabench incidents' lists them", name)
		}
	}
	return o, nil
}

// list is a flag with commas between its values.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

func (l *list) Set(text string) error {
	*l = strings.Split(text, ",")
	return nil
}

// sets is a flag that may be repeated.
type sets []string

func (s *sets) String() string { return strings.Join(*s, " ") }

func (s *sets) Set(text string) error {
	*s = append(*s, text)
	return nil
}
