package cli

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kabench/kabench/dialers/external/drivers"
	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/internal/terminal"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// completer offers values of a flag or an argument.
type completer = cobra.CompletionFunc

// flagValues are the completions of flags, by name. If a flag means something else in one
// command, that command's constructor sets its completion.
var flagValues = map[string]completer{
	"pool": listOf(pools), "driver": listOf(driverNames), "server": listOf(servers), "via": listOf(servers), "as": listOf(servers),
	"expect": listOf(func() []string {
		return []string{"failures = 0", "failures.rate < 1%", "response.p99 <= 80ms", "failures not worse than baseline"}
	}),
	"set": completeSet, "axis": completeSet,
	"arrivals": listOf(generator.Processes), "client": listOf(profiles.Clients),
	"format": listOf(func() []string { return []string{"http", "json"} }),
	"tag":    listOf(func() []string { return []string{results.LatencyResponse, results.LatencyService, results.LatencyLag} }),
	"out":    CompleteDirs, "site": CompleteDirs, "baseline": CompleteDirs, "baseline-store": CompleteDirs, "store": CompleteDirs, "resume": CompleteDirs, "dir": CompleteDirs, "deliver": CompleteDirs,
	"credentials": completeFiles,
	"cert":        completeFiles, "key": completeFiles,
	"targets": completeFiles, "trace": completeFiles, "output": completeFiles,
}

// SetFlagCompletion sets the completion of every flag of every command. Numbers, times, URLs
// and free texts have none.
func SetFlagCompletion(root *cobra.Command) {
	_ = root.RegisterFlagCompletionFunc("color", listOf(func() []string { return terminal.Whens }))
	for _, c := range root.Commands() {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			values, known := flagValues[f.Name]
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

func driverNames() []string {
	var names []string
	for _, e := range drivers.All() {
		names = append(names, e.Name+"\t"+e.Client)
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
		"client": profiles.Clients, "driver": driverNames, "driver.name": driverNames, "target.lab": servers}[path]
	if values == nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	before := typed[:strings.LastIndexAny(typed, "=,")+1]
	for _, value := range values() {
		list = append(list, before+value)
	}
	return list, cobra.ShellCompDirectiveNoFileComp
}

// CompleteDirs offers directories.
func CompleteDirs(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

func completeFiles(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}

// CompleteProfiles completes one argument with the profiles and incidents that come with kabench,
// and with files.
func CompleteProfiles(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return Names(append(profiles.Profiles(), profiles.Incidents()...)), cobra.ShellCompDirectiveDefault
}

// CompleteIncidents completes one argument with the incidents that come with kabench, and with files.
func CompleteIncidents(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return Names(profiles.Incidents()), cobra.ShellCompDirectiveDefault
}

// Names returns the names with their questions, as completion shows them.
func Names(all []profiles.Embedded) []string {
	var list []string
	for _, e := range all {
		list = append(list, e.Name+"\t"+e.Question)
	}
	return list
}
