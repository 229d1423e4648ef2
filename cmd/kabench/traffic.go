package main

import (
	"slices"

	"github.com/spf13/cobra"
)

// traffic is what the command line says of the requests to send: a profile, and
// flags in place of its fields. `kabench run` and `kabench compare` share it.
type traffic struct {
	command string // "kabench run"
	profile string // a name or a file; "": the flags say all
	target  string
	targets string
	format  string
	sets    []string
	changes []change
	has     func(flag string) bool // whether the command line gave it
}

// change is a flag that stands for a profile field.
type change struct {
	flag, path, usage string
	value             string
}

// flags adds those of the traffic to c, and more that are c's own.
func (o *traffic) flags(c *cobra.Command, more ...change) {
	f := c.Flags()
	f.StringVar(&o.target, "target", "", "URL to send to, in place of the profile's target")
	f.StringVar(&o.targets, "targets", "", "vegeta target file with what to send")
	f.StringVar(&o.format, "format", "", "format of --targets: http (default) or json")
	o.changes = append([]change{
		{flag: "rate", path: "load.rate", usage: "requests per second, as 400/s or 24000/m"},
		{flag: "arrivals", path: "load.arrivals", usage: "arrival process: constant, poisson, sine, ramp, burst or uniform"},
		{flag: "duration", path: "load.duration", usage: "how long requests are due after the warm-up, as 30s"},
		{flag: "warm-up", path: "load.warm_up", usage: "how long to warm up first; not counted"},
		{flag: "client", path: "client", usage: "policy (the profile's pool) or stock (net/http's Transport as shipped)"},
	}, more...)
	for i := range o.changes {
		f.StringVar(&o.changes[i].value, o.changes[i].flag, "", o.changes[i].usage)
	}
	f.StringArrayVar(&o.sets, "set", nil, "set any profile field, as pool.idle_timeout=3s; may be repeated")
}

// given takes from c which flags the command line has.
func (o *traffic) given(c *cobra.Command) {
	o.has = c.Flags().Changed
	o.changes = slices.DeleteFunc(o.changes, func(ch change) bool { return !o.has(ch.flag) })
}

// flagNames are those that say what to send.
func (o *traffic) flagNames() []string {
	return []string{"target", "targets", "format", "rate", "arrivals", "duration", "warm-up", "client", "set"}
}
