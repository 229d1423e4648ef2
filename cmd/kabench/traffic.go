package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/kabench/kabench/internal/usage"
	"github.com/kabench/kabench/profiles"
	"github.com/spf13/cobra"
)

// traffic describes the requests to send: a profile, and flags that replace some of its
// fields. 'kabench run' and 'kabench compare' share it.
type traffic struct {
	command string // "kabench run"
	profile string // a name or a file; "": the flags give everything
	target  string
	targets string
	format  string
	sets    []string
	changes []change
	has     func(flag string) bool // reports whether the command line has the flag
}

// change is a flag that sets a profile field.
type change struct {
	flag, path, usage string
	value             string
}

// flags adds the flags of the traffic to c, and after them more.
func (o *traffic) flags(c *cobra.Command, more ...change) {
	f := c.Flags()
	f.StringVar(&o.target, "target", "", "URL to send requests to, instead of the profile's target")
	f.StringVar(&o.targets, "targets", "", "vegeta target file that lists the requests to send")
	f.StringVar(&o.format, "format", "", "format of the --targets file: http (default) or json")
	o.changes = append([]change{
		{flag: "rate", path: "load.rate", usage: "request rate, for example 400/s or 24000/m"},
		{flag: "arrivals", path: "load.arrivals", usage: "arrival process: constant, poisson, sine, ramp, burst or uniform"},
		{flag: "duration", path: "load.duration", usage: "how long to send requests after the warm-up, for example 30s"},
		{flag: "warm-up", path: "load.warm_up", usage: "how long to send requests before the measurement begins"},
		{flag: "client", path: "client", usage: "policy (the profile's pool) or stock (Go's http.Transport, unchanged)"},
	}, more...)
	for i := range o.changes {
		f.StringVar(&o.changes[i].value, o.changes[i].flag, "", o.changes[i].usage)
	}
	f.StringArrayVar(&o.sets, "set", nil, "set any profile field, for example pool.idle_timeout=3s; may be repeated")
}

// given notes which flags the command line of c has.
func (o *traffic) given(c *cobra.Command) {
	o.has = c.Flags().Changed
	o.changes = slices.DeleteFunc(o.changes, func(ch change) bool { return !o.has(ch.flag) })
}

// flagNames returns the flags that describe what to send.
func (o *traffic) flagNames() []string {
	return []string{"target", "targets", "format", "rate", "arrivals", "duration", "warm-up", "client", "set"}
}

// load makes the profile that the command line describes.
func (o *traffic) load() (*profiles.Profile, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	p, err := profiles.Open(o.profile, o.allSets())
	if err != nil {
		return nil, o.inFlags(err)
	}
	p.NameByTarget()
	return p, nil
}

// check refuses flags that are not enough or contradict each other.
func (o *traffic) check() error {
	switch {
	case o.profile == "" && o.target == "" && o.targets == "" && len(o.sets) == 0:
		return usage.Errorf(o.command, "there is no target: name a profile ('kabench profiles' lists some), or give --target URL --rate 300/s")
	case o.target != "" && o.targets != "":
		return usage.Errorf(o.command, "--target and --targets contradict each other; give one (a target file has its own URLs)")
	case o.format != "" && o.targets == "":
		return usage.Errorf(o.command, "--format needs --targets: it is the format of that file")
	}
	return nil
}

// allSets returns all flags in the form of --set, those of --set itself last.
func (o *traffic) allSets() []string {
	var sets []string
	if o.target != "" || o.targets != "" {
		sets = append(sets, "target.lab=null", "target.link=null", "target.proxies=null", "target.on=null", "target.at=", "network=null")
	}
	if o.target != "" {
		sets = append(sets, "target.file=", "target.url="+o.target)
	}
	if o.targets != "" {
		sets = append(sets, "target.url=", "target.file="+o.targets, "target.format="+o.format)
	}
	for _, c := range o.changes {
		sets = append(sets, c.path+"="+c.value)
	}
	return append(sets, o.sets...)
}

// inFlags makes a complaint about a value name the flag that set the value.
func (o *traffic) inFlags(err error) error {
	list, ok := errors.AsType[profiles.Errors](err)
	if !ok {
		return err
	}
	for i, c := range list {
		for _, ch := range o.changes {
			if c.Source == "--set "+ch.path+"="+ch.value {
				list[i].Source = "--" + ch.flag + " " + ch.value
				if c.Path == ch.path {
					list[i].Path = ""
				}
			}
		}
		if o.target != "" && strings.HasPrefix(c.Source, "--set target.url=") { // the rest may be blanked
			list[i].Source, list[i].Path = "--target "+o.target, ""
		}
		if o.format != "" && c.Source == "--set target.format="+o.format {
			list[i].Source, list[i].Path = "--format "+o.format, ""
		}
		if c.Path == "load.rate" && c.Source == "" {
			list[i].Text += " (or --rate 300/s)"
		}
	}
	return list
}
