package results

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Schema is the name and version of the document that Run is written as.
const Schema = "kabench.run/v1"

// Run is everything one run measured and everything needed to run it again. It
// is run.json: a contract, described field by field in docs/results.md.
//
// Counts, outcomes, latencies, statuses, attempts and rates leave the warm-up
// out. Connections, pool and sockets cover the whole run, because a connection
// opened in the warm-up serves the measured part too.
type Run struct {
	Schema      string `json:"schema"`
	Version     string `json:"version"` // of kabench
	Name        string `json:"name"`
	Question    string `json:"question,omitempty"`
	Complete    bool   `json:"complete"`              // false: cut off; what is here was read back from the record
	Interrupted bool   `json:"interrupted,omitempty"` // stopped early, by a signal or as Stopped says; complete all the same

	Stopped *Stopped `json:"stopped,omitempty"` // the condition of abort_when that stopped it; nil: none did

	Start   time.Time       `json:"start"`
	End     time.Time       `json:"end"`
	Profile json.RawMessage `json:"profile,omitempty"` // as resolved, secrets blanked
	Host    Host            `json:"host"`
	Preset  *Preset         `json:"preset,omitempty"` // the real client whose pool this was

	Before *Before `json:"before,omitempty"` // what was opened before the run; nil: nothing

	Baseline *Baseline `json:"baseline,omitempty"` // the earlier run that the expectations name

	Valid    bool     `json:"valid"`
	Invalid  []string `json:"invalid,omitempty"` // why Valid is false
	Warnings []string `json:"warnings"`          // true, odd, not fatal; phrased as advice

	Counts       Counts               `json:"counts"`
	Attempts     uint64               `json:"attempts"`        // requests put on a connection; above started−(failed before one was had) something re-sent
	Resends      Resends              `json:"resends"`         // what the policy sent again
	Statuses     map[string]uint64    `json:"statuses"`        // HTTP status -> exchanges that are ok
	ErrorAnswers ErrorAnswers         `json:"error_answers"`   // of Statuses: 400 and above
	StatusFail   map[string]uint64    `json:"statuses_failed"` // the same of those that failed after the head had arrived
	Outcomes     []Outcome            `json:"outcomes"`
	Latency      map[string]Quantiles `json:"latency"` // of exchanges that are ok; lag: of all started
	// Latency apart by the connection of the last attempt: new, or one that had
	// served before. Without lag.
	LatencyFresh  map[string]Quantiles `json:"latency_fresh"`
	LatencyReused map[string]Quantiles `json:"latency_reused"`
	LatencyFail   map[string]Quantiles `json:"latency_failed"`    // of those that failed
	IdleFailed    *Quantiles           `json:"idle_at_failure"`   // idle age at lease of failures on reused connections; null when there were none
	Idle          Idle                 `json:"idle"`              // how long connections were idle
	Rate          Rate                 `json:"rate"`              // per second
	Connections   Connections          `json:"connections"`       //
	Reuse         Reuse                `json:"reuse"`             // exchanges by kind of connection
	Pool          PoolPeaks            `json:"pool"`              //
	Sockets       Sockets              `json:"sockets"`           //
	Kernel        Kernel               `json:"kernel"`            // what its TCP counted
	Instrument    Instrument           `json:"instrument"`        // kabench itself
	Recording     Recording            `json:"recording"`         // what the exchange record holds
	Expect        []Expectation        `json:"expectations"`      // of the profile, each with what was seen
	Ports         *Ports               `json:"ports,omitempty"`   // nil: they were neither to run out nor did
	Packets       *Packets             `json:"packets,omitempty"` // nil: not in a private network
	Link          *LinkSeen            `json:"link,omitempty"`    // what kabench's own link before the target did; nil: there was none
	Lab           *LabSeen             `json:"lab,omitempty"`     // what kabench's own server saw, when it was the target
	Proxy         *ProxySeen           `json:"proxy,omitempty"`   // what kabench's own proxies saw; nil: there were none
	Targets       []TargetFigures      `json:"targets,omitempty"` // of each target, where there are several; not of a run that was cut off
}

// Preset is the real client whose pool a run's policy was taken from.
type Preset struct {
	Name   string    `json:"name"`
	Client string    `json:"client"` // its family
	Cannot []string  `json:"cannot"` // what it does and the policy could not express
	Log    []LogLine `json:"log"`    // what its log would have said of the failures
	// Changed is what the profile set otherwise than the preset has it.
	Changed []PresetChange `json:"changed"`
}

// PresetChange is a field of a pool that is not as the preset has it.
type PresetChange struct {
	Path   string `json:"path"`   // in the profile: pool.idle_timeout
	Preset string `json:"preset"` // the preset's value
	Run    string `json:"run"`    // the run's
}

// String names the preset and every change: "reactor-netty, but idle_timeout 15s
// (preset: 0s)".
func (p *Preset) String() string {
	text := p.Name
	for i, c := range p.Changed {
		join := ", but "
		if i > 0 {
			join = ", "
		}
		text += fmt.Sprintf("%s%s %s (preset: %s)", join, strings.TrimPrefix(c.Path, "pool."), c.Run, c.Preset)
	}
	return text
}

// Before is what kabench opened to the target before the run, one connection to
// each server, to see whether it accepts them. They are in no other figure.
type Before struct {
	Connections uint64 `json:"connections"`
	TLS         uint64 `json:"tls"`   // of them, with a finished TLS handshake
	Reset       uint64 `json:"reset"` // of them, reset by the server; the others were closed by FIN
}

// Baseline says which run a run was held against.
type Baseline struct {
	Dir     string    `json:"dir"` // as it was given
	Name    string    `json:"name"`
	Version string    `json:"version"` // of the kabench that made it
	Start   time.Time `json:"start"`
	// Others are more runs that it was held against.
	Others []BaselineRun `json:"others,omitempty"`
}

// BaselineRun is one of several runs that a run was held against.
type BaselineRun struct {
	Dir   string    `json:"dir"`
	Start time.Time `json:"start"`
}

// LogLine is the words a client has for an outcome; of several one is seen.
type LogLine struct {
	Phase  Phase    `json:"phase"`
	Cause  Cause    `json:"cause"`
	Reused bool     `json:"reused"`
	Says   []string `json:"says"`
}

// Counts are the accounts of a run. They balance: Due = Started + Dropped and
// Started = OK + Failed + Unfinished.
type Counts struct {
	Due        uint64 `json:"due"`
	Started    uint64 `json:"started"`
	Dropped    uint64 `json:"dropped"` // due, never started: the cap on requests in flight was reached
	OK         uint64 `json:"ok"`
	Failed     uint64 `json:"failed"`
	Unfinished uint64 `json:"unfinished"` // given up when the run was aborted
	Waited     uint64 `json:"waited"`     // of Started: those that waited in the bounded buffer first
	WarmUp     uint64 `json:"warm_up"`    // due in the warm-up; in none of the others
	Unbounded  uint64 `json:"unbounded"`  // of OK: whether the response is whole cannot be known, because only the connection's end was its end
}

// Balance reports whether the accounts add up.
func (c Counts) Balance() bool {
	return c.Due == c.Started+c.Dropped && c.Started == c.OK+c.Failed+c.Unfinished
}

// Outcome counts the exchanges that ended in one way.
type Outcome struct {
	Phase   Phase  `json:"phase"`
	Cause   Cause  `json:"cause"`
	Reused  bool   `json:"reused"` // false also when there was no connection: see Connection
	Count   uint64 `json:"count"`
	Example string `json:"example,omitempty"`         // text of one error behind it
	Looked  uint64 `json:"looked_at_lease,omitempty"` // of Count: those whose socket was looked at when leased
	Stale   uint64 `json:"stale_at_lease,omitempty"`  // of Looked: the peer had ended the connection by then
}

// Resends count what the pool's policy sent again. What the stock client re-sends
// out of sight is in Run.Attempts alone.
type Resends struct {
	Count      uint64        `json:"count"`       // attempts made again, over all exchanges
	Exchanges  uint64        `json:"exchanges"`   // that were sent again, however often
	Rescued    uint64        `json:"rescued"`     // of Exchanges: those that are ok in the end
	MaybeTwice uint64        `json:"maybe_twice"` // exchanges that may have been executed more than once, and are not idempotent
	Causes     []ResendCause `json:"causes"`      // how the attempts that were made again had failed
}

// ResendCause counts the attempts that failed in one way and were made again.
type ResendCause struct {
	Phase  Phase  `json:"phase"`
	Cause  Cause  `json:"cause"`
	Reused bool   `json:"reused"`
	Count  uint64 `json:"count"`
}

// Unasked is how many attempts were made that the policy did not ask for: the
// stock client's transport re-sends on its own.
func (run *Run) Unasked() uint64 {
	asked := run.Reuse.Fresh + run.Reuse.Reused + run.Resends.Count // one attempt each, and those again
	return max(run.Attempts, asked) - asked
}

// What Outcome.Connection returns.
const (
	ConnectionNone   = "no connection"
	ConnectionFresh  = "fresh"
	ConnectionReused = "reused"
)

// Connection is the kind of connection the exchanges were put on: "fresh",
// "reused", or "no connection" when they ended before there was one.
func (o Outcome) Connection() string {
	switch {
	case o.Phase < PhaseWriteHeaders: // schedule, acquire, resolve, connect, tls
		return ConnectionNone
	case o.Reused:
		return ConnectionReused
	default:
		return ConnectionFresh
	}
}

// Quantiles describe a distribution of durations, in seconds. P999 is the
// 99.9th percentile. All are 0 when Count is 0.
type Quantiles struct {
	Count    uint64  `json:"count"`
	Min      float64 `json:"min"`
	P50      float64 `json:"p50"`
	P90      float64 `json:"p90"`
	P99      float64 `json:"p99"`
	P999     float64 `json:"p999"`
	Max      float64 `json:"max"`
	Mean     float64 `json:"mean"`
	Overflow uint64  `json:"overflow,omitempty"` // values above HistogramMax: exact in Count, Mean and Max, clamped in the percentiles
}

// Idle says how long connections were idle in the pool, in seconds.
type Idle struct {
	AtLease Quantiles `json:"at_lease"` // when an exchange was put on one that had served before, in the measured part
	// AtPeerClose is when the peer ended an idle one, over the whole run; null where
	// that is not seen: with the stock client, and in a run that was cut off.
	AtPeerClose *Quantiles `json:"at_peer_close"`
	Longest     float64    `json:"longest"` // in the whole run, as far as it was seen
}

// Keys of the Latency maps that are not phases.
const (
	LatencyResponse = "response" // due to done
	LatencyService  = "service"  // start to done
	LatencyLag      = "lag"      // due to start: how late the generator was
	LatencyBuffer   = "buffer"   // time waited in the bounded buffer, of those that did
)

// Rate is in exchanges per second over the measured part of the run.
type Rate struct {
	Offered    float64 `json:"offered"`    // due
	Achieved   float64 `json:"achieved"`   // started
	Throughput float64 `json:"throughput"` // ok
}

// Connections counts connections by how they came and went.
type Connections struct {
	Opened       uint64            `json:"opened"`                         // TCP (and TLS) handshakes completed
	ClosedByUs   uint64            `json:"closed_by_us"`                   // our FIN left before anything of the peer's had come, the end of the run included
	ClosedByPeer uint64            `json:"closed_by_peer"`                 // the peer's FIN had come by then
	Reset        uint64            `json:"reset"`                          // the peer's RST had, with no FIN before it
	Unknown      uint64            `json:"closed_unknown"`                 // whose was first cannot be told from our side
	NotifiedUs   uint64            `json:"close_notify_by_us,omitempty"`   // TLS: our close_notify left before the peer's was read. It goes before a FIN, and is none
	NotifiedPeer uint64            `json:"close_notify_by_peer,omitempty"` // TLS: the peer's had been read by then
	MaxOpen      int               `json:"max_open"`                       // most that were open at once
	Evictions    map[string]uint64 `json:"evictions"`                      // why each left the pool: expired, lifetime, max_requests, surplus, made_room, hint, peer_closed, reset, server_said_close, broken, shutdown
}

// Reuse counts exchanges by whether their connection had served before.
type Reuse struct {
	Fresh        uint64 `json:"fresh"`
	Reused       uint64 `json:"reused"`
	NoConnection uint64 `json:"no_connection"` // started, but never put on a connection, in no attempt
}

// PoolPeaks are the highest values the pool's gauges reached.
type PoolPeaks struct {
	PeakPending int `json:"peak_pending"` // requests waiting for a connection
	PeakLeased  int `json:"peak_leased"`
	PeakIdle    int `json:"peak_idle"`
	PeakDialing int `json:"peak_dialing"`
}

// Sockets is what the kernel said of the sockets to the target. TIME_WAIT is
// held for 60 s by the side that closed first. The server's side is who accepts
// the client's connections, be it a proxy. When it is on another machine it
// cannot be seen and ServerSide is false.
type Sockets struct {
	Available       bool   `json:"available"` // false: not on Linux, or sock_diag refused; Why says
	Why             string `json:"why,omitempty"`
	TimeWaitPeak    int    `json:"time_wait_peak"` // on the client's side
	TimeWaitServer  int    `json:"time_wait_server_peak"`
	ServerSide      bool   `json:"server_side"` // the target is on this machine, or in the run's private network, so its side was seen
	EstablishedPeak int    `json:"established_peak"`
	CloseWaitPeak   int    `json:"close_wait_peak"`
	PortsUsedPeak   int    `json:"ports_used_peak"` // local ports in use towards the target, TIME_WAIT included, those of each local address apart
	PortsAvailable  int    `json:"ports_available"` // size of the ephemeral range less the reserved ones, times the source addresses
}

// Add raises the peaks to what s shows, and marks the sockets as available. A
// Server that is not nil, even if empty, is a server side that was seen.
func (k *Sockets) Add(s *SocketSample) {
	k.Available = true
	k.TimeWaitPeak = max(k.TimeWaitPeak, s.Client["TIME_WAIT"])
	k.CloseWaitPeak = max(k.CloseWaitPeak, s.Client["CLOSE_WAIT"])
	k.EstablishedPeak = max(k.EstablishedPeak, s.Client["ESTABLISHED"])
	k.PortsUsedPeak = max(k.PortsUsedPeak, s.PortsUsed)
	if s.Server != nil {
		k.ServerSide = true
		k.TimeWaitServer = max(k.TimeWaitServer, s.Server["TIME_WAIT"])
	}
}

// Ports say when the local ports towards the target ran out. Times are in
// seconds since the start of the run.
type Ports struct {
	Predicted float64 `json:"predicted"` // ports ÷ new connections per second; 0: they were not to run out
	FirstFail float64 `json:"first"`     // when the first request that got none was started; 0: all got one
	LastFail  float64 `json:"last"`      // when the last of them was
	Back      float64 `json:"back"`      // when the first request that was ok on a new connection after the first failure was; 0: none was
	Recovered uint64  `json:"recovered"` // requests that were ok on a new connection after the first failure
}

// Met is how the moment compares with the prediction: 1 when it is the same, 0
// when one of them is missing.
func (p Ports) Met() float64 {
	if p.Predicted == 0 {
		return 0
	}
	return p.FirstFail / p.Predicted
}

// Instrument is what the run cost kabench itself, with a server in the same
// process the server's share in it, and whether the instrument may be believed.
type Instrument struct {
	CPUSeconds     float64   `json:"cpu_seconds"`              // user and system
	CPUPerExchange float64   `json:"cpu_seconds_per_exchange"` // see SetCPUPerExchange
	PeakGoroutines int       `json:"peak_goroutines"`
	PeakRSS        uint64    `json:"peak_rss_bytes"`
	PeakOpenFiles  int       `json:"peak_open_files"`
	GCPauses       uint64    `json:"gc_pauses"`
	GCPauseMax     float64   `json:"gc_pause_max"` // seconds
	GCPauseP99     float64   `json:"gc_pause_p99"` // seconds; at least the true one, at most a quarter above it
	Switches       uint64    `json:"involuntary_switches"`
	Machine        *Machine  `json:"machine,omitempty"` // nil: it does not tell
	Arrivals       Arrivals  `json:"arrivals"`
	Schedule       Punctuals `json:"schedule"`
}

// Machine is how busy the machine was, whoever kept it busy. Shares are of all
// its cores, 0 to 1.
type Machine struct {
	Busy      float64  `json:"busy"`              // over the run
	BusyPeak  float64  `json:"busy_peak"`         // in a second
	OwnPeak   float64  `json:"own_peak"`          // kabench's share of the cores it may use, in a second
	Steal     float64  `json:"steal"`             // taken by the hypervisor for others
	RunQueue  int      `json:"run_queue_peak"`    // tasks running or ready to, of those seen once a second
	Seconds   int      `json:"seconds"`           // looked at
	Saturated int      `json:"saturated_seconds"` // of these: no core was free, or the group's quota was used up
	Pressure  *float64 `json:"pressure,omitempty"`
	Throttled *float64 `json:"throttled_seconds,omitempty"`
}

// Verdicts of Arrivals.
const (
	ArrivalsFit       = "fit"
	ArrivalsMisfit    = "misfit"
	ArrivalsNotTested = "not_tested"
)

// Arrivals say whether requests arrived by the law they were to follow. A
// request arrives when it is started, when it is put in the buffer, or when it
// is dropped.
type Arrivals struct {
	Law      string   `json:"law"`     // the arrival process
	Verdict  string   `json:"verdict"` // fit, misfit or not_tested
	Why      string   `json:"why,omitempty"`
	Span     uint64   `json:"span"`               // how many gaps were taken together for one value
	Count    uint64   `json:"count"`              // values
	Distance *float64 `json:"distance,omitempty"` // Kolmogorov and Smirnov's D, 0 to 1
	P        *float64 `json:"p,omitempty"`        // how likely one as large is by chance
	OffP99   *float64 `json:"off_p99,omitempty"`  // of equal gaps: 99th percentile of the difference, seconds
}

// Whose fault an overload was.
const (
	OverloadKabench = "kabench" // it was behind its own schedule
	OverloadMachine = "machine" // no core was free
	OverloadTarget  = "target"  // or the pool: kabench was on time, with cores to spare
)

// Punctuals say in which whole seconds of the run its schedule was held. A
// second was held if nothing due in it was dropped, and no more than one
// request in a hundred was later than load.max_lag.
type Punctuals struct {
	Seconds          int     `json:"seconds"`      // whole seconds in which something was due
	Held             int     `json:"seconds_held"` // of these
	HeldRate         float64 `json:"held_rate"`    // the most that were due, and over, in one that was held, per second
	Through          float64 `json:"through_rate"` // ok per second, in the median of all
	DroppedLate      uint64  `json:"dropped_while_late"`
	DroppedSaturated uint64  `json:"dropped_while_saturated"`
	Overload         string  `json:"overload,omitempty"` // whose fault it was
}

// SetCPUPerExchange sets CPUPerExchange, in seconds: CPUSeconds, which are of
// the whole run, shared among the exchanges started and those due in the
// warm-up; 0 when there were none.
func (i *Instrument) SetCPUPerExchange(c Counts) {
	i.CPUPerExchange = 0
	if n := c.Started + c.WarmUp; n > 0 {
		i.CPUPerExchange = i.CPUSeconds / float64(n)
	}
}

// Recording says what the record of exchanges holds. Failures and what was sent
// again are always in it; of the other successes one in SuccessesOneIn, chosen by
// a hash of their number.
type Recording struct {
	Written        uint64 `json:"written"`
	SuccessesOneIn uint64 `json:"successes_one_in"` // 1: every one
	LeftOut        uint64 `json:"left_out"`         // successes not written, by choice
	Lost           uint64 `json:"lost,omitempty"`   // exchanges of any kind not written, because the record had stopped
	Error          string `json:"error,omitempty"`  // why the record, or the samples, stop early
}

// Host is the machine the run was made on.
type Host struct {
	OS        string            `json:"os"`
	Arch      string            `json:"arch"`
	Kernel    string            `json:"kernel,omitempty"`
	CPUs      int               `json:"cpus"`
	GoVersion string            `json:"go"`
	OpenFiles uint64            `json:"open_files_limit,omitempty"`
	Sysctls   map[string]string `json:"sysctls,omitempty"`
}

// Expectation is one condition of a profile and what the run showed.
type Expectation struct {
	Path string `json:"path"`
	Want string `json:"want"`
	Seen string `json:"seen"`
	Met  bool   `json:"met"`
	Why  string `json:"why,omitempty"` // when it could not be checked
}

// LinkSeen is what kabench's own link delivered.
type LinkSeen struct {
	Delivered uint64 `json:"delivered"` // pieces of data, FINs and RSTs
	Late
}

// Late says by how much what kabench's own servers or link were to do at a
// moment came after it, in seconds.
type Late struct {
	LateP99 float64 `json:"late_p99"`
	LateMax float64 `json:"late_max"`
}

// LabSeen is what kabench's own server saw.
type LabSeen struct {
	Connections  uint64 `json:"connections"`
	Requests     uint64 `json:"requests"`
	ClosedIdle   uint64 `json:"closed_idle"`   // by its keep-alive timer
	ClosedFirst  uint64 `json:"closed_first"`  // by it before the client did, idle ones included
	ClientClosed uint64 `json:"client_closed"` // by the client first
	Executed     uint64 `json:"executed"`      // requests read whole: they had their effect, answered or not
	Duplicates   uint64 `json:"duplicates"`    // of them, those whose X-Request-Id had been executed before
	Reloads      uint64 `json:"reloads"`       // of the server
	Late                // its answers, after its delay, and its idle timer
	// Headers maps the name of a header, in its canonical form, to how many requests
	// came with it; nil unless the server recorded headers.
	Headers map[string]uint64 `json:"headers,omitempty"`
}

// ProxySeen is what kabench's own proxies before its server saw, together.
type ProxySeen struct {
	Requests    uint64 `json:"requests"`     // of clients
	Attempts    uint64 `json:"attempts"`     // requests passed on or failed on the way, those sent again included
	Retries     uint64 `json:"retries"`      // of them, those that sent a request again
	Stale       uint64 `json:"stale"`        // attempts that failed on a connection that had been kept
	BadGateways uint64 `json:"bad_gateways"` // answers of their own: 502
	Unavailable uint64 `json:"unavailable"`  // 503
	Timeouts    uint64 `json:"timeouts"`     // 504
	Silent      uint64 `json:"silent"`       // requests whose connection was closed instead of an answer
	Truncated   uint64 `json:"truncated"`    // answers cut short by the server

	Connections    uint64 `json:"connections"`      // of clients
	ClosedByClient uint64 `json:"closed_by_client"` // of them, by the client first
	ClosedByProxy  uint64 `json:"closed_by_proxy"`  // of them, by the proxy first

	Upstream               uint64 `json:"upstream"`                  // connections made to servers
	UpstreamClosedByProxy  uint64 `json:"upstream_closed_by_proxy"`  // of them, by the proxy first
	UpstreamClosedByServer uint64 `json:"upstream_closed_by_server"` // of them, by the server first
	UpstreamSaidClose      uint64 `json:"upstream_said_close"`       // of them, ended because the server's answer said close
	UpstreamSlow           uint64 `json:"upstream_slow"`             // of them, those whose SYN had to be sent again
	ConnectTimeouts        uint64 `json:"connect_timeouts"`          // connects to servers given up
}

// Sample is one line of samples.ndjson: the gauges at one moment.
type Sample struct {
	T        float64 `json:"t"` // seconds since the start of the run
	InFlight int     `json:"in_flight"`
	Buffered int     `json:"buffered"`

	Leased  int `json:"leased"`
	Idle    int `json:"idle"`
	Dialing int `json:"dialing"`
	Pending int `json:"pending"`

	Due     uint64 `json:"due"` // running totals, warm-up included
	Started uint64 `json:"started"`
	OK      uint64 `json:"ok"`
	Failed  uint64 `json:"failed"`
	Opened  uint64 `json:"opened"`

	Sockets *SocketSample `json:"sockets,omitempty"` // absent when not looked at in this sample

	CPU        float64 `json:"cpu"` // of one core, since the sample before
	Goroutines int     `json:"goroutines"`
	OpenFiles  int     `json:"open_files"`
}

// SocketSample counts sockets to the target by TCP state.
type SocketSample struct {
	Client    map[string]int `json:"client"`          // state -> sockets, ours
	Server    map[string]int `json:"server,omitzero"` // the target's; absent when they cannot be seen
	PortsUsed int            `json:"ports_used"`
}
