package main

import (
	"fmt"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/results"
)

// openBaselines reads the runs in these directories, each of one run or of
// several; without directories there is no baseline.
func openBaselines(dirs []string) (*kabench.Baseline, error) {
	var all []*kabench.Baseline
	sifted := false
	for _, dir := range dirs {
		paths, err := runsOf(dir)
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
	d, err := results.Open(path)
	if err != nil {
		return nil, err
	}
	run, err := d.Run()
	if err != nil {
		return nil, err
	}
	return &kabench.Baseline{Dir: path, Run: run}, nil
}
