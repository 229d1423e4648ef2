package cli

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/spf13/pflag"

	"github.com/kabench/kabench/internal/consent"
	"github.com/kabench/kabench/internal/target"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// Load is what a command is going to send, in one or more runs.
type Load struct {
	Profiles []*profiles.Profile // one run each
	Remedies bool                // and one of each remedy
	Repeats  int                 // how often each of them runs; 0: once
}

// IMayFlag adds the flag by which the user says that the target may be loaded.
func IMayFlag(f *pflag.FlagSet, to *bool) {
	f.BoolVar(to, consent.Flag, false, "you are allowed to load the target although it is not in a private network")
}

// Check returns a *consent.Refusal for the first host of the load that is neither on this
// machine nor in a private network. It sends nothing. A name without an address is for the
// run to complain about.
func (l Load) Check(ctx context.Context) error {
	seen := map[string]bool{}
	for _, p := range l.runs() {
		if p.Target.Lab != nil || p.Network != nil {
			continue // kabench's own server
		}
		requests, err := profiles.Requests(p)
		if err != nil {
			return err
		}
		for _, r := range requests {
			host := hostOf(r.URL)
			if seen[host] {
				continue
			}
			seen[host] = true
			if err := consent.Check(host, addressesOf(ctx, r.URL), l.sends()); err != nil {
				return err
			}
		}
	}
	return nil
}

// runs returns the profile of each run, without repeats.
func (l Load) runs() []*profiles.Profile {
	var all []*profiles.Profile
	for _, p := range l.Profiles {
		all = append(all, p)
		if !l.Remedies {
			continue
		}
		for _, r := range p.Remedies {
			if changed, err := p.With(r); err == nil { // else the run complains
				all = append(all, changed)
			}
		}
	}
	return all
}

// sends says how many requests go to servers that are not kabench's own.
func (l Load) sends() string {
	var requests float64
	var lasts time.Duration
	runs, repeats := 0, max(l.Repeats, 1)
	for _, p := range l.runs() {
		if p.Target.Lab != nil || p.Network != nil {
			continue
		}
		runs += repeats
		requests += float64(repeats) * p.Load.MeanRate() * p.Sending().Seconds() * float64(max(p.Target.Pipeline, 1))
		lasts += time.Duration(repeats) * p.Sending()
	}
	return fmt.Sprintf("about %s in %s, which send for %s", results.FormatCount(uint64(math.Round(requests)), "request"),
		results.FormatCount(uint64(runs), "run"), results.FormatSeconds(lasts.Seconds()))
}

// addressesOf finds the addresses of a URL's host; none if they cannot be looked up.
func addressesOf(ctx context.Context, url string) (list []netip.Addr) {
	p := profiles.Default()
	p.Target.URL = url
	for _, a := range target.Addresses(ctx, &p) {
		list = append(list, a.Addr())
	}
	return list
}
