package measure

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/internal/resultsdir"
	"github.com/kabench/kabench/internal/usage"
	"github.com/kabench/kabench/results/baselines"
	"github.com/kabench/kabench/results/record"
)

// mostLatest bounds the N of latest:N.
const mostLatest = 100

// openBaselines reads what --baseline names: directories with one run or several, or the
// newest runs of the store. Without the flag it returns nil.
func (o *runOptions) openBaselines(c *cobra.Command, s *cli.Streams) (*kabench.Baseline, error) {
	for _, name := range o.against {
		count, latest := strings.CutPrefix(name, "latest:")
		if !latest {
			continue
		}
		n, err := strconv.Atoi(count)
		switch {
		case err != nil || n < kabench.FewestLatest || n > mostLatest:
			return nil, usage.Errorf(c.CommandPath(), "--baseline %s: want latest:N with N from %d to %d, such as latest:5", name, kabench.FewestLatest, mostLatest)
		case len(o.against) > 1:
			return nil, usage.Errorf(c.CommandPath(), "--baseline %s takes all baselines from the store; leave out the other --baseline", name)
		}
		return openStore(s, o.store, n)
	}
	if c.Flags().Changed("baseline-store") {
		return nil, usage.Errorf(c.CommandPath(), "--baseline-store needs --baseline latest:N, such as latest:5")
	}
	return openBaselines(o.against)
}

// openStore reads the runs of a store. Those that cannot be read are left out, with a message.
func openStore(s *cli.Streams, dir string, latest int) (*kabench.Baseline, error) {
	entries, err := baselines.Entries(dir)
	if err != nil {
		return nil, fmt.Errorf("--baseline-store: %w", err)
	}
	all := []*kabench.Baseline{{}}
	for _, e := range entries {
		if e.Err != nil {
			fmt.Fprintf(s.Err, "kabench: %s is left out, because it cannot be read; remove it: %s\n", e.Dir, layout.OneLine(e.Err.Error()))
			continue
		}
		all = append(all, &kabench.Baseline{Dir: e.Dir, Run: e.Run})
	}
	if len(all) > 1 {
		all = all[1:]
	}
	all[0].Others, all[0].Latest, all[0].Store = all[1:], latest, dir
	return all[0], nil
}

// openBaselines reads the runs in these directories. A directory holds one run or several.
// Without directories it returns nil.
func openBaselines(dirs []string) (*kabench.Baseline, error) {
	var all []*kabench.Baseline
	sifted := false
	for _, dir := range dirs {
		paths, err := resultsdir.RunsOf(dir)
		if err != nil {
			return nil, fmt.Errorf("--baseline: %w", err)
		}
		sifted = sifted || len(paths) > 1
		for _, path := range paths {
			run, err := openBaseline(path)
			if err != nil {
				return nil, fmt.Errorf("--baseline: %w", err)
			}
			all = append(all, run)
		}
	}
	if len(all) == 0 {
		return nil, nil
	}
	all[0].Others, all[0].Sifted = all[1:], sifted
	return all[0], nil
}

func openBaseline(path string) (*kabench.Baseline, error) {
	d, err := record.Open(path)
	if err != nil {
		return nil, err
	}
	run, err := d.Run()
	if err != nil {
		return nil, err
	}
	return &kabench.Baseline{Dir: path, Run: run}, nil
}
