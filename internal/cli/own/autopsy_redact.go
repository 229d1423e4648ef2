package own

import (
	"fmt"
	"io"
	"os"

	"github.com/kabench/kabench/internal/autopsy"
	"github.com/kabench/kabench/internal/capture"
	"github.com/kabench/kabench/internal/capture/redact"
	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/evidence/segments"
)

// examine reads the captures, gathers the times of requests if something is made of them,
// and writes what it reads without what must not be shown.
func (o *autopsyOptions) examine(options autopsy.Options) (*autopsy.Verdict, *autopsy.Gatherer, error) {
	var takers []func(int, *segments.Segment)
	var gather *autopsy.Gatherer
	if o.incident != "" || o.requests != "" || o.out != "" {
		gather = autopsy.NewGatherer(options.Server)
		takers = append(takers, gather.Take)
	}
	options.Segment = func(place int, s *segments.Segment) {
		for _, take := range takers {
			take(place, s)
		}
	}
	if o.redact == "" {
		verdict, err := autopsy.Examine(options)
		return verdict, gather, err
	}
	var verdict *autopsy.Verdict
	err := cli.WriteFile(o.redact, func(w io.Writer) (err error) {
		out := redact.NewWriter(w)
		takers = append(takers, out.Take)
		if verdict, err = autopsy.Examine(options); err != nil {
			return err
		}
		if len(verdict.Logs) > 0 {
			return fmt.Errorf("--redact %s: only packets can be written again, and %s is a log; name captures only", o.redact, verdict.Logs[0].File)
		}
		return out.End()
	})
	return verdict, gather, err
}

// redacted says what was written to path, and whether it gives the same verdict.
func redacted(s *cli.Streams, verdict *autopsy.Verdict, path string) error {
	fmt.Fprintf(s.Err, "written: %s\n", path)
	for _, text := range redact.Says() {
		fmt.Fprintf(s.Err, "  %s\n", text)
	}
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	again, err := autopsy.Examine(autopsy.Options{Files: []string{path}})
	if err != nil {
		return fmt.Errorf("%s was written, but cannot be read: %w", path, err)
	}
	if text := autopsy.Differs(verdict, again); text != "" {
		fmt.Fprintf(s.Err, "warning: its verdict is another one (%s)\n", text)
		return nil
	}
	if len(again.Servers) > 0 {
		fmt.Fprintf(s.Err, "checked: kabench autopsy %s gives the same verdict; %s is %s there\n", path, verdict.Servers[0].Address, again.Servers[0].Address)
	}
	return nil
}

// overwrites is the error of an output file that is an input; nil: it is none. A file is
// first written beside its place, under a name that may be an input's too.
func overwrites(flag, path string, files []string) error {
	for _, target := range []string{path, path + cli.Unfinished} {
		out, err := os.Stat(target)
		for _, name := range files {
			same := target == name
			if in, wrong := os.Stat(name); err == nil && wrong == nil && name != capture.Stdin {
				same = same || os.SameFile(in, out)
			}
			if same {
				return fmt.Errorf("%s %s: it would overwrite %s, which is read; name another file", flag, path, name)
			}
		}
	}
	return nil
}
