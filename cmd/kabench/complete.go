package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// completer offers values of a flag or an argument.
type completer = cobra.CompletionFunc

// flagValues are the completions of flags, by name. If a flag means something else in one
// command, its completion is under "command name".
var flagValues = map[string]completer{
	"pool": listOf(pools), "server": listOf(servers), "via": listOf(servers), "as": listOf(servers),
	"set": completeSet, "axis": completeSet,
	"arrivals": listOf(generator.Processes), "client": listOf(func() []string { return []string{profiles.ClientPolicy, profiles.ClientStock} }),
	"format": listOf(func() []string { return []string{"http", "json"} }), "export format": listOf(formatNames),
	"tag": listOf(func() []string { return []string{results.LatencyResponse, results.LatencyService, results.LatencyLag} }),
	"out": completeDirs, "site": completeDirs, "baseline": completeDirs,
	"targets": completeFiles, "trace": completeFiles, "output": completeFiles,
}

// setFlagCompletion sets the completion of every flag of every command. Numbers, times, URLs
// and free texts have none.
func setFlagCompletion(root *cobra.Command) {
	for _, c := range root.Commands() {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			values, known := flagValues[c.Name()+" "+f.Name]
			if !known {
				values, known = flagValues[f.Name]
			}
			if !known {
				values = cobra.NoFileCompletions
			}
			if f.Value.Type() != "bool" {
				_ = c.RegisterFlagCompletionFunc(f.Name, values) // fails only for a missing flag, or the second time
			}
		})
	}
}

// listOf completes names of a list. If no name fits, the shell offers files.
func listOf(names func() []string) completer {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return names(), cobra.ShellCompDirectiveDefault
	}
}

func pools() []string {
	var names []string
	for _, p := range profiles.Pools() {
		names = append(names, p.Name+"\t"+p.What)
	}
	return names
}

func servers() []string {
	var names []string
	for _, p := range profiles.Servers() {
		names = append(names, p.Name+"\t"+p.What)
	}
	return names
}

// completeSet completes a field, and for some fields the value after the last = or comma.
func completeSet(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	path, _, valued := strings.Cut(typed, "=")
	var list []string
	if !valued {
		for _, field := range profiles.Fields() {
			list = append(list, field+"=")
		}
		return list, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
	}
	values := map[string]func() []string{"pool": pools, "load.arrivals": generator.Processes, "load.arrivals.process": generator.Processes,
		"client": func() []string { return []string{profiles.ClientPolicy, profiles.ClientStock} }, "target.lab": servers}[path]
	if values == nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	before := typed[:strings.LastIndexAny(typed, "=,")+1]
	for _, value := range values() {
		list = append(list, before+value)
	}
	return list, cobra.ShellCompDirectiveNoFileComp
}

func completeDirs(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

func completeFiles(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}

// completeCompared completes a profile or, after the first argument, directories.
func completeCompared(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return completeDirs(c, args, typed)
	}
	return completeProfiles(c, args, typed)
}
