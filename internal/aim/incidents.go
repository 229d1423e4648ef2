package aim

import (
	"fmt"

	"github.com/kabench/kabench/profiles"
)

// adaptation is how an incident of the library is aimed at a server that is not ours.
type adaptation struct {
	at   func(*aiming) error // sets the load, the expectations and the remedies
	not  string              // instead of at: why the incident needs a server of kabench's own
	set  []string            // what makes the incident, as --set, before the user's own settings
	says profiles.Says       // if the incident's own words are about kabench's server
}

// What an incident may need that nobody can do to a server from outside.
const (
	needsScript  = "the server has to fail by a script, which only kabench's own server follows"
	needsNetwork = "it happens on the way to the server, in a private network whose packets kabench carries"
	needsProxy   = "it happens between a proxy and its server, where kabench is neither"
)

// adaptations has every incident of the library.
var adaptations map[string]adaptation

func init() { // the functions refer to the table
	adaptations = map[string]adaptation{
		"idle-race":         {at: (*aiming).idleTimer},
		"idle-race-tls":     {at: (*aiming).idleTimerTLS},
		"direct-idle-order": {at: (*aiming).idleTimer},
		"nginx-1s":          {at: (*aiming).idleTimer, says: profiles.Says{Happened: saysCrossed, Set: "the client's idle_timeout below the server's by more than a round trip"}},
		"l7-lb-order":       {at: (*aiming).behindBalancer, says: profiles.Says{Happened: "the load balancer used connections that the server was closing, and answered {error_answers.server} requests with an error; its idle timeout towards its servers must be below theirs, and the client's has no effect on that"}},
		"keep-alive-hint":   {at: (*aiming).hint, set: []string{"pool.server_hint=ignore", "pool.hint_margin=0", "pool.hint_cap=0"}},

		"pending-queue-full":    {at: (*aiming).queueFull},
		"pending-timeout":       {at: (*aiming).pendingTimeout},
		"port-exhaustion":       {at: (*aiming).ports},
		"handshake-cost":        {at: (*aiming).handshakes, set: []string{"pool.max_idle=0"}},
		"time-wait-shift":       {at: (*aiming).timeWait},
		"retry-and-idempotence": {at: (*aiming).retry},

		"backpressure":                     {not: "its own client waits before the pool; to see it with a server of yours, use 'kabench run --set load.max_in_flight=... --set load.buffer=...'"},
		"before-response":                  {not: needsScript},
		"data-after-close":                 {not: needsScript},
		"dumb-proxy":                       {not: needsProxy},
		"during-response":                  {not: needsScript},
		"half-close":                       {not: needsScript},
		"hop-by-hop":                       {not: needsProxy},
		"http10-keep-alive":                {not: needsScript},
		"lb-rst-unknown-flow":              {not: needsNetwork},
		"lifecycle":                        {not: needsScript},
		"nagle-delayed-ack":                {not: "the server has to split its writes, which cannot be asked of it"},
		"nginx-upstream-keepalive-timeout": {not: needsProxy},
		"nginx-upstream-mismatch":          {not: needsProxy},
		"nginx-upstream-ok":                {not: needsProxy},
		"parallel-persistent-pipelined":    {not: "it compares ways to send on a slow network, which kabench makes; use 'kabench compare --target'"},
		"silent-drop":                      {not: needsNetwork},
		"slow-start":                       {not: needsNetwork},
		"stateless-lb-hash":                {not: needsNetwork},
		"stateless-lb-round-robin":         {not: needsNetwork},
		"three-mitigations":                {not: "it compares three remedies of idle-race; use 'kabench reproduce idle-race --target'"},
		"truncated":                        {not: needsScript},
		"while-sending-body":               {not: needsScript},

		"dead-peer":                {not: needsNetwork},
		"rolling-deploy":           {not: needsNetwork},
		"scale-out-pinned":         {not: needsNetwork},
		"conntrack-full":           {not: needsNetwork},
		"nat-port-meets-time-wait": {not: needsNetwork},
		"nat-ports":                {not: needsNetwork},
		"lifetime-wave":            {not: needsNetwork},
		"pool-leak":                {not: "the leak is in the code that calls the pool; to see it with a server of yours, use 'kabench run --set load.leak_every=10'"},
		"retry-storm":              {not: needsScript},
	}
}

const saysCrossed = "the server's keep-alive timer had run out, and its FIN crossed the requests on the wire"

// Takes reports whether an incident can be aimed at a server that is not kabench's own.
// If not, why says why, as the end of a sentence.
func Takes(incident string) (takes bool, why string) {
	a, known := adaptations[incident]
	if !known {
		return false, "only incidents of kabench's library can be aimed ('kabench incidents' marks those that can)"
	}
	return a.not == "", a.not
}

func adaptationOf(incident string) (adaptation, error) {
	if takes, why := Takes(incident); !takes {
		return adaptation{}, fmt.Errorf("%s cannot be aimed at a target: %s", incident, why)
	}
	return adaptations[incident], nil
}
