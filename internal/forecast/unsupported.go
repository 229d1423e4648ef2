package forecast

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/script"
)

// Unsupported lists what a profile needs that a forecast has not. Each line begins with
// the path of a field.
type Unsupported struct{ Lines []string }

func (u *Unsupported) Error() string { return strings.Join(u.Lines, "\n") }

// unsupported lists what a forecast of p would have to leave out, so that none is made.
func unsupported(p *profiles.Profile, f *facts) (lines []string) {
	no := func(is bool, path, why string) {
		if is {
			lines = append(lines, path+": "+why)
		}
	}
	cfg := f.script
	no(p.Client != profiles.ClientPolicy, "client", fmt.Sprintf("a forecast plays the rules of kabench's pool, and %s has rules of its own; set client: policy", p.Client))
	no(len(p.Target.Proxies) > 0, "target.proxies", "a forecast has no proxies; forecast each hop by itself")
	no(p.Target.File != "", "target.file", "a forecast sends one kind of request; set target.url and target.method")
	no(p.Target.Pipeline > 1, "target.pipeline", "a forecast sends one request at a time on a connection; set 1")
	no(p.Load.LeakEvery > 0, "load.leak_every", "in a forecast every response is read; remove it")
	no(p.Pool.ResendBudget > 0, "pool.resend_budget", "a forecast does not bound what is sent again; remove it")
	no(slices.ContainsFunc(p.Pool.Resend, func(r pool.ResendRule) bool { return r.After&pool.AfterTimeout != 0 }), "pool.resend", "a forecast does not send again what took too long; remove timeout from after")
	no(len(p.Events) > 0, "events", "a forecast has no events; remove them and what waits for them")
	if p.Network != nil {
		no(len(p.Network.Balancers) > 0, "network.balancers", "a forecast has no balancers; remove them")
		no(len(p.Network.NATs) > 0, "network.nats", "a forecast has no NATs; remove them")
		for i, l := range p.Network.Links {
			no(len(l.Rules) > 0 || l.Flows != nil, fmt.Sprintf("network.links.%d", i), "a forecast has links with a constant delay only; remove rules and flows")
			no(l.Loss > 0 || l.Jitter > 0 || l.Bandwidth > 0 || l.There != nil || l.Back != nil, fmt.Sprintf("network.links.%d", i), "a forecast has links with a constant delay only; remove loss, jitter, bandwidth, there and back")
		}
	}
	_, ends := endings[cfg.Fault]
	during := cfg.Fault == script.CloseDuringResponse
	idle := cfg.Fault == script.CloseOnIdle || cfg.Fault == script.ResetOnIdle
	no(!ends && !idle && cfg.Fault != script.FaultNone && cfg.Fault != script.Silent, "target.lab.fault", fmt.Sprintf("a forecast cannot play %v", cfg.Fault))
	no(idle && cfg.FaultOn != script.OnAll, "target.lab.fault_on", "a forecast plays this fault on all exchanges only")
	no(during && cfg.UntilClose, "target.lab.fault", "with until_close the client takes the end of the connection for that of the response; set chunked instead")
	no((during || cfg.Fault == script.ResetDuringResponse) && p.Target.Method == http.MethodHead, "target.method", "a response to HEAD has no body that could be cut; set GET")
	no(cfg.Fault == script.Silent && p.Load.Timeout == 0 && p.Pool.ResponseTimeout == 0, "load.timeout", "a silent server needs a timeout; set load.timeout or pool.response_timeout")
	no(p.Target.Lab == nil && !f.named && p.Server == profiles.ServerFacts{}, "target.url", "nothing is known about this server; add --server with a preset or the file that 'kabench probe URL' writes, or describe it in the section server")
	no(cfg.Version != 0 || cfg.IgnoreKeepAlive, "target.lab.version", "a forecast speaks HTTP/1.1 only")
	no(p.Target.SplitWrites && p.Target.TCP.Nagle, "target.tcp.nagle", "a forecast does not know Nagle's algorithm; remove nagle")
	for name, value := range p.Target.Headers {
		no(strings.EqualFold(name, "Expect") && hasToken(value, "100-continue"), "target.headers."+name, "a forecast sends each request whole; remove it")
	}
	no(cfg.SplitWrites && cfg.Nagle, "target.lab.nagle", "a forecast does not know Nagle's algorithm; remove nagle")
	no(cfg.Upload != script.ReadFirst, "target.lab.upload", "a forecast's server reads each request first")
	return lines
}

// tooMany complains if more connections were open than the server accepts: what happens to the
// others is not played.
func (r *Result) tooMany() error {
	most := r.facts.script.MaxConnections
	for _, n := range r.spans {
		if most > 0 && n.openPeak > most {
			return &Unsupported{[]string{fmt.Sprintf("target.lab.max_connections: %d connections were open at once, and the server accepts %d; a forecast does not play what happens to the others. Set pool.max_conns to %d or less, or remove max_connections", n.openPeak, most, most)}}
		}
	}
	return nil
}

// LeftOut lists, in sentences, what a forecast of p does not contain, so that a reader knows
// what a run may show beside it.
func LeftOut(p *profiles.Profile) []string {
	list := []string{
		"The machines are never late: no waits for CPU, no pauses of garbage collection or of an event loop",
		"Segments are not lost, and the server's kernel always accepts",
		"Bytes take no time: no bandwidth, and no slow start of TCP",
	}
	if lab := p.Target.Lab; lab != nil && lab.AcceptPause != (script.Delay{}) {
		list = append(list, "The server's pauses between two accepts: every connection is accepted at once")
	}
	if preset, found := profiles.FindPool(p.Preset); found {
		list = append(list, preset.Cannot.Texts()...)
	}
	return list
}
