package profiles

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/nearest"
	"github.com/kabench/kabench/internal/strictyaml"
	"github.com/kabench/kabench/profiles/network"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/expect"
)

// Validate returns every complaint about p as an Errors, or nil. It changes nothing,
// and reads no file except a pool that a remedy names.
func (p *Profile) Validate() error { return p.complaints().Err() }

func (p *Profile) complaints() Errors {
	own := p.ownComplaints()
	list := append(slices.Clone(own), badWords("says.happened", p.Says.Happened)...)
	list = append(list, badWords("says.set", p.Says.Set)...)
	for i, r := range p.Remedies {
		at := strictyaml.Join("remedies", strconv.Itoa(i))
		if r.Name == "" {
			list = append(list, Complaint{Path: strictyaml.Join(at, "name"), Text: "a remedy needs a name"})
		}
		if len(r.Set) == 0 {
			list = append(list, Complaint{Path: strictyaml.Join(at, "set"), Text: "changes nothing; write what to set, as path: value"})
		}
		list = append(list, badExpectations(strictyaml.Join(at, "expect"), r.Expect, expect.ValidateRemedy)...)
		list = append(list, badWords(strictyaml.Join(at, "cost"), r.Cost)...)
		remedied, err := p.With(r)
		var bad Errors
		if errors.As(err, &bad) {
			for _, c := range bad {
				list = append(list, Complaint{Path: strictyaml.Join(strictyaml.Join(at, "set"), c.Path), Text: c.Text})
			}
			continue
		}
		if len(own) > 0 {
			continue // the same complaints would be repeated
		}
		list = append(list, remedied.neverKnown(strictyaml.Join(at, "expect"), remedied.Expect)...)
		remedied.Expect = nil // checked above
		if remedied.CannotSend() != "" {
			continue // it is not available on this client
		}
		for _, c := range remedied.ownComplaints() {
			list = append(list, Complaint{Path: strictyaml.Join(at, "set"), Text: "with this change, " + c.Error()})
		}
	}
	return list
}

// With returns p with the remedy's changes, and with its expectations instead of p's.
// It does not validate the result.
func (p *Profile) With(r Remedy) (*Profile, error) {
	changed := p.Clone()
	var list Errors
	for _, path := range slices.Sorted(maps.Keys(r.Set)) {
		var bad Errors
		if errors.As(Set(changed, path, r.Set[path]), &bad) {
			list = append(list, bad...)
		}
	}
	changed.Expect = maps.Clone(r.Expect)
	changed.Remedies = nil
	return changed, list.Err()
}

// ownComplaints returns the complaints about p without its remedies.
func (p *Profile) ownComplaints() Errors {
	list := broken("",
		rule{!slices.Contains(Clients(), p.Client), "client", fmt.Sprintf("%q is none of %s", p.Client, strings.Join(Clients(), ", "))},
		rule{p.Target.SplitWrites && p.Client == ClientStock, "target.split_writes", "the stock client decides how it writes requests; remove it"},
		rule{p.Target.Pipeline > 1 && p.Client == ClientStock, "target.pipeline", "the stock client does not pipeline; remove it"},
		rule{p.Load.LeakEvery > 0 && p.Client == ClientStock, "load.leak_every", "the stock client's caller reads every response to its end; remove it"},
		rule{p.Load.LeakEvery > 0 && p.Target.Pipeline > 1, "load.leak_every", "pipelined requests share a connection, and the others would wait behind a response that nobody reads; remove it, or target.pipeline"},
	)
	list = append(list, p.driverComplaints()...)
	list = append(list, strictyaml.Under("load", p.Load.Validate())...)
	list = append(list, strictyaml.Under("pool", p.Pool.Validate())...)
	list = append(list, p.Target.complaints()...)
	list = append(list, p.networkComplaints()...)
	list = append(list, broken("network",
		rule{p.Client == ClientExternal && p.Network != nil && p.Network.DNS != nil, "dns", "a real client asks the resolver of this machine, and not the network's; use client: policy or stock"})...)
	list = append(list, p.eventComplaints()...)
	list = append(list, strictyaml.Under("server", p.Server.Validate())...)
	list = append(list, strictyaml.Under("via", p.Via.Validate())...)
	list = append(list, p.Forecast.complaints()...)
	if p.Preset != "" {
		if _, found := FindPool(p.Preset); !found {
			list = append(list, Complaint{Path: "preset", Text: fmt.Sprintf("there is no preset %q; 'kabench pools' lists them, and --pool NAME takes one's parameters", p.Preset)})
		}
	}
	list = append(list, p.neverKnown("expect", p.Expect)...)
	list = append(list, p.neverKnown("abort_when", p.AbortWhen)...)
	list = append(list, badExpectations("expect", p.Expect, expect.Validate)...)
	return append(list, badExpectations("abort_when", p.AbortWhen, expect.ValidateAbort)...)
}

// neverKnown returns complaints about conditions, in that section, on results that p's
// runs cannot have.
func (p *Profile) neverKnown(section string, conditions map[string]string) Errors {
	var list Errors
	for _, path := range slices.Sorted(maps.Keys(conditions)) {
		why := expect.NeverKnown(path, p.Client, p.Target.Lab != nil, len(p.Target.Proxies) > 0, p.Network != nil)
		if why == "" {
			why = p.neverCounted(path)
		}
		if why != "" {
			list = append(list, Complaint{Path: strictyaml.Join(section, path), Text: "can never be checked: " + why + "; remove it"})
		}
	}
	return list
}

// neverCounted says why p's runs do not count the result at path; "" if they do.
func (p *Profile) neverCounted(path string) string {
	section, rest, _ := strings.Cut(path, ".")
	name, _, dotted := strings.Cut(rest, ".")
	switch {
	case section == "kernel" && dotted && name != network.ClientName && !slices.Contains(hostNames(p.Network), name):
		return fmt.Sprintf("there is no host %q (%s)", name, hostsThereAre(hostNames(p.Network)))
	case section == "lab" && dotted && name == "share" && !slices.Contains(p.servers(hostNames(p.Network)), strings.TrimPrefix(rest, "share.")):
		return fmt.Sprintf("no host %q serves the target", strings.TrimPrefix(rest, "share."))
	case section == "lab" && dotted && name == "headers" && !p.Target.Lab.RecordHeaders:
		return "the server keeps no headers without target.lab.record_headers: true"
	case strings.HasPrefix(path, "packets.nat_ports.") && len(p.Network.NATs) == 0:
		return "the network has no NAT (network.nats)"
	case strings.HasPrefix(path, "packets.flows.") && !p.Network.Limits():
		return "no link and no balancer has a limit of flows (max)"
	case section == "dns" && (p.Network == nil || p.Network.DNS == nil):
		return "no name is asked for without network.dns"
	case path == "ports.met" || path == "ports.predicted":
		if p.Client == ClientStock || p.Pool.MaxIdle != 0 && p.Pool.MaxRequests == pool.NoCap {
			return "the time at which ports run out is predicted only if each connection serves a fixed number of requests: pool.max_idle: 0 or pool.max_requests"
		}
	}
	return p.neverMeasured(path)
}

// neverMeasured says why p's runs do not measure the time at path; "" if they do.
func (p *Profile) neverMeasured(path string) string {
	for _, kind := range []string{"fresh.", "reused.", "failed."} {
		path = strings.TrimPrefix(path, kind)
	}
	name, stat, timed := strings.Cut(path, ".")
	if !timed || stat == "count" || stat == "overflow" {
		return ""
	}
	switch {
	case name == results.LatencyBuffer && p.Load.Buffer == 0:
		return "nothing waits in a buffer without load.buffer"
	case name == results.PhaseTLS.String() && p.Target.Lab != nil && !p.Target.Lab.TLS:
		return "the target does not speak TLS (target.lab.tls)"
	case name == results.PhaseTLS.String() && strings.HasPrefix(p.Target.URL, "http:"):
		return "the target does not speak TLS (target.url is http:)"
	}
	return ""
}

func badExpectations(section string, expect map[string]string, validate func(map[string]string) error) Errors {
	var list Errors
	for _, path := range slices.Sorted(maps.Keys(expect)) {
		if err := validate(map[string]string{path: expect[path]}); err != nil {
			list = append(list, Complaint{Path: strictyaml.Join(section, path), Text: strings.TrimPrefix(err.Error(), path+": ")})
		}
	}
	return list
}

// badWords complains about unknown figures in a text of the verdict.
func badWords(path, text string) Errors {
	if err := expect.ValidateFillIn(text); err != nil {
		return Errors{{Path: path, Text: err.Error()}}
	}
	return nil
}

// eventComplaints returns the complaints about events that do not come, that nothing waits
// for, and whose time is not within the run.
func (p *Profile) eventComplaints() (list Errors) {
	awaited := p.awaited()
	waits := slices.Collect(maps.Values(awaited))
	for _, path := range slices.Sorted(maps.Keys(awaited)) {
		if _, comes := p.Events[awaited[path]]; !comes {
			fix := "set"
			if near := nearest.Name(awaited[path], slices.Sorted(maps.Keys(p.Events))); near != "" {
				waits = append(waits, near) // what waits for it is mistyped
				fix = "did you mean " + near + "? If not, set"
			}
			list = append(list, Complaint{Path: path, Text: fmt.Sprintf("the event %q does not come; %s events.%s to its time since the start of the run, such as 3s", awaited[path], fix, awaited[path])})
		}
	}
	for _, path := range slices.Sorted(maps.Keys(awaited)) {
		ends, begins := awaited[path], awaited[beginOf(path)]
		at, comes := p.Events[ends]
		if from, begun := p.Events[begins]; comes && begun && ends != begins && at <= from {
			list = append(list, Complaint{Path: path, Text: fmt.Sprintf("the event %q comes after %v, and %q, which must come before it, after %v; set events.%s to more", ends, at, begins, from, ends)})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Events)) {
		path, at := strictyaml.Join("events", name), p.Events[name]
		switch {
		case !slices.Contains(waits, name):
			list = append(list, Complaint{Path: path, Text: "nothing waits for it; remove it"})
		case at < 0 || at > p.Takes():
			list = append(list, Complaint{Path: path, Text: fmt.Sprintf("%v is not within the run, which takes %v", at, p.Takes())})
		}
	}
	return list
}

// beginOf returns the path of the event at which begins what ends at the one of path; "": path
// ends nothing.
func beginOf(path string) string {
	for _, field := range [...][2]string{{"stall.until", "stall.from"}, {".until", ".after"}} {
		if begin, ends := strings.CutSuffix(path, field[0]); ends {
			return begin + field[1]
		}
	}
	if begin := strings.Replace(path, ".leaves.", ".joins.", 1); begin != path {
		return begin
	}
	return ""
}

// awaited returns the events that p's network and servers wait for, by the path of the field
// that names them.
func (p *Profile) awaited() map[string]string {
	all := map[string]string{}
	if p.Network != nil {
		for path, name := range p.Network.Awaits() {
			all[strictyaml.Join("network", path)] = name
		}
	}
	if p.Target.Lab != nil {
		for path, name := range p.Target.Lab.Awaits() {
			all[strictyaml.Join("target.lab", path)] = name
		}
	}
	return all
}
