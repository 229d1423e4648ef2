package cli

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/internal/secrets"
	"github.com/kabench/kabench/internal/usage"
	"github.com/kabench/kabench/profiles"
)

// Traffic describes the requests to send: a profile, and flags that replace some of its
// fields. 'kabench run' and 'kabench compare' share it.
type Traffic struct {
	Command string // "kabench run"
	Profile string // a name or a file; "": the flags give everything
	Target  string
	Targets string
	Format  string
	sets    []string
	Changes []Change
	Has     func(flag string) bool // reports whether the command line has the flag
	Via     Via
	iMay    bool
	expects []string // as --expect has them
}

// Change is a flag that sets a profile field.
type Change struct {
	Flag, Path, Usage string
	value             string
}

// DriverChange is the flag --driver of a command that takes one.
func DriverChange() Change {
	return Change{Flag: "driver", Path: "driver", Usage: driverUsage}
}

const driverUsage = "real client to send through: a name of 'kabench driver list', or a command"

// DriverFlag adds --driver to f.
func DriverFlag(f *pflag.FlagSet, to *string) { f.StringVar(to, "driver", "", driverUsage) }

// Flags adds the flags of the traffic to c, and after them more.
func (o *Traffic) Flags(c *cobra.Command, more ...Change) {
	f := c.Flags()
	f.StringVar(&o.Target, "target", "", "URL to send requests to, instead of the profile's target")
	f.StringVar(&o.Targets, "targets", "", "vegeta target file that lists the requests to send")
	f.StringVar(&o.Format, "format", "", "format of the --targets file: http (default) or json")
	o.Changes = append([]Change{
		{Flag: "arrivals-from", Path: "load.trace", Usage: "log whose requests are sent again at their own times, instead of --rate and --arrivals"},
		{Flag: "rate", Path: "load.rate", Usage: "request rate, for example 400/s or 24000/m"},
		{Flag: "arrivals", Path: "load.arrivals", Usage: "arrival process: constant, poisson, sine, ramp, burst or uniform"},
		{Flag: "duration", Path: "load.duration", Usage: "how long to send requests after the warm-up, for example 30s"},
		{Flag: "warm-up", Path: "load.warm_up", Usage: "how long to send requests before the measurement begins"},
		{Flag: "client", Path: "client", Usage: "policy (the profile's pool), stock (Go's http.Transport, unchanged) or external (a real client; see --driver)"},
		{Flag: "cert", Path: "target.tls.cert_file", Usage: "PEM file with the certificate that the client shows to the server"},
		{Flag: "key", Path: "target.tls.key_file", Usage: "PEM file with its private key, unless the --cert file has it"},
	}, more...)
	for i := range o.Changes {
		f.StringVar(&o.Changes[i].value, o.Changes[i].Flag, "", o.Changes[i].Usage)
	}
	f.StringArrayVar(&o.sets, "set", nil, "set any profile field, for example pool.idle_timeout=3s; may be repeated")
	IMayFlag(f, &o.iMay)
}

// MayLoad returns a *consent.Refusal if a server of the load needs consent that the command
// line does not give.
func (o *Traffic) MayLoad(ctx context.Context, l Load) error {
	if o.iMay {
		return nil
	}
	return l.Check(ctx)
}

// AddSet adds a change as --set does, before those of the command line.
func (o *Traffic) AddSet(set string) { o.sets = append([]string{set}, o.sets...) }

// Given notes which flags the command line of c has.
func (o *Traffic) Given(c *cobra.Command) {
	o.Has = c.Flags().Changed
	o.Changes = slices.Clone(o.Changes) // the flags keep their values in the first list
	o.Changes = slices.DeleteFunc(o.Changes, func(ch Change) bool { return !o.Has(ch.Flag) })
}

// FlagNames returns the flags that describe what to send.
func (o *Traffic) FlagNames() []string {
	return []string{"target", "targets", "format", "arrivals-from", "rate", "arrivals", "duration", "warm-up", "client", "cert", "key", "set"}
}

// Load makes the profile that the command line describes.
func (o *Traffic) Load() (*profiles.Profile, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	p, err := profiles.Open(o.Profile, o.Via.Before(o.AllSets()))
	if err != nil {
		return nil, o.InFlags(err)
	}
	if err := o.Via.Describe(p, o.sets); err != nil {
		return nil, err
	}
	p.NameByTarget()
	return p, nil
}

// Check refuses flags that are not enough or contradict each other.
func (o *Traffic) Check() error {
	switch {
	case o.Profile == "" && o.Target == "" && o.Targets == "" && len(o.sets) == 0:
		return usage.Errorf(o.Command, "there is no target: name a profile ('kabench profiles' lists some), or give --target URL --rate 300/s")
	case strings.HasPrefix(o.Profile, "http://") || strings.HasPrefix(o.Profile, "https://"):
		return usage.Errorf(o.Command, "%s is a URL, not a profile; write --target %s", layout.OneLine(secrets.RedactURL(o.Profile)), layout.OneLine(secrets.RedactURL(o.Profile)))
	case o.Target != "" && o.Targets != "":
		return usage.Errorf(o.Command, "--target and --targets contradict each other; give one (a target file has its own URLs)")
	case o.change("driver") != "" && o.change("client") != "" && o.change("client") != profiles.ClientExternal:
		return usage.Errorf(o.Command, "--driver and --client %s contradict each other: a driver is the client; leave one of them out", o.change("client"))
	case o.Format != "" && o.Targets == "":
		return usage.Errorf(o.Command, "--format needs --targets: it is the format of that file")
	}
	_, err := o.expectations()
	return err
}

// change is the value of a flag that sets a field; "" if it was not given.
func (o *Traffic) change(flag string) string {
	for _, c := range o.Changes {
		if c.Flag == flag {
			return c.value
		}
	}
	return ""
}

// AllSets returns all flags in the form of --set, those of --set itself last.
func (o *Traffic) AllSets() []string {
	var sets []string
	if o.Target != "" || o.Targets != "" {
		sets = append(sets, "target.lab=null", "target.link=null", "target.proxies=null", "target.on=null", "target.at=", "network=null")
	}
	if o.Target != "" {
		sets = append(sets, "target.file=", "target.url="+o.Target)
	}
	if o.Targets != "" {
		sets = append(sets, "target.url=", "target.file="+o.Targets, "target.format="+o.Format)
	}
	for _, c := range o.Changes {
		sets = append(sets, c.Path+"="+c.value)
	}
	wanted, _ := o.expectations() // Check has refused wrong ones
	for _, w := range wanted {
		sets = append(sets, w.set())
	}
	return append(sets, o.sets...)
}

// InFlags makes a complaint about a value name the flag that set the value.
func (o *Traffic) InFlags(err error) error {
	given := []Given{{"target.url", o.Target, "--target"}, {"target.format", o.Format, "--format"}}
	for _, ch := range o.Changes {
		given = append(given, Given{ch.Path, ch.value, "--" + ch.Flag})
	}
	wanted, _ := o.expectations()
	for _, w := range wanted {
		given = append(given, Given{"expect." + w.path, w.condition, "--expect " + strconv.Quote(w.path+" "+w.condition)})
	}
	err = InFlags(err, given...)
	if list, ok := errors.AsType[profiles.Errors](err); ok {
		for i, c := range list {
			if c.Path == "load.rate" && c.Source == "" {
				list[i].Text += " (or --rate 300/s)"
			}
		}
	}
	return err
}

// Given is a flag or an argument whose value was put at a path of the profile.
type Given struct{ Path, Value, Flag string }

// InFlags makes complaints about values of --set name the flags that the user gave
// instead.
func InFlags(err error, given ...Given) error {
	list, ok := errors.AsType[profiles.Errors](err)
	if !ok {
		return err
	}
	for i, c := range list {
		for _, g := range given {
			url := g.Path == "target.url" && strings.HasPrefix(c.Source, "--set target.url=") // the rest may be blanked
			if g.Value == "" || !url && c.Source != "--set "+g.Path+"="+g.Value {
				continue
			}
			list[i].Source = g.Flag
			if !strings.HasSuffix(g.Flag, `"`) { // which has the value already
				list[i].Source += " " + g.Value
			}
			if c.Path == g.Path {
				list[i].Path = ""
			}
		}
	}
	return list
}
