package cli

import (
	"github.com/spf13/pflag"

	"github.com/kabench/kabench/internal/usage"
	"github.com/kabench/kabench/results/expect"
)

// ExpectFlag adds --expect to f. Each value is added to the profile's expect, or replaces the
// profile's condition at the same path.
func (o *Traffic) ExpectFlag(f *pflag.FlagSet) {
	f.StringArrayVar(&o.expects, "expect", nil, "what the run must show, for example 'failures = 0' or 'response.p99 <= 80ms'; may be repeated (docs/results.md lists the paths)")
}

// expectation is one --expect.
type expectation struct{ path, condition string }

// set is the expectation in the form of --set.
func (e expectation) set() string { return "expect." + e.path + "=" + e.condition }

// expectations reads the values of --expect. The error is a *usage.Error.
func (o *Traffic) expectations() (list []expectation, err error) {
	line := map[string]string{}
	for _, text := range o.expects {
		path, condition, err := expect.ParseLine(text)
		if err != nil {
			return nil, usage.Errorf(o.Command, "--expect %q: %w", text, err)
		}
		if first, twice := line[path]; twice {
			return nil, usage.Errorf(o.Command, "--expect %q and --expect %q are about the same figure; give one; a range is written as 5..20", first, text)
		}
		line[path] = text
		list = append(list, expectation{path, condition})
	}
	return list, nil
}
