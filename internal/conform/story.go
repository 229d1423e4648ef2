package conform

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/kabench/kabench/internal/nearest"
)

// Story is a question to a client: requests on a schedule, and what the server does.
type Story struct {
	Name   string
	Asks   string // in one sentence, what it asks
	About  About
	Server Script
	Rounds []Round
	// Watch is how long the connections are watched after the last round. The story is
	// over before that when no connection is open any more.
	Watch time.Duration
	Looks Looks
	// Slack is how late the machine may be before a play says nothing. The moments of the
	// story that depend on one another are farther apart.
	Slack time.Duration
	// Patience is how much later than Slack the driver may call its client. A client that is
	// slow to hand out hundreds of connections keeps its driver's loop busy, and a server that
	// waits until no more requests come (Act.Quiet) does not mind.
	Patience time.Duration
	// Alone is set if the story is a burst, which must not be played beside others.
	Alone bool
	// Short is set if the story belongs to the short set.
	Short bool
}

// Round is requests that belong together. It begins when all requests of the round before
// are over and After has passed.
type Round struct {
	After    time.Duration
	Requests []Ask
}

// Ask is one request.
type Ask struct {
	At     time.Duration // since the round began
	Method string
	Body   int // bytes
}

// Looks says what of two plays is compared. By default it is, for each request, how it
// ended, how often the request arrived, and whether on a fresh or a reused
// connection.
type Looks struct {
	Which  bool // which connection carried each request, by the order of opening
	Totals bool // totals instead of single requests: what was opened at most, what failed
	// Closes is the tolerance for the time after its last response at which the client
	// closed each connection; 0: not compared.
	Closes time.Duration
	// Ends is the tolerance for the time that a request took that failed; 0: not compared.
	Ends time.Duration
}

// About is the part of a pool's behaviour that a story is about.
type About string

// The parts.
const (
	AboutIdle    About = "idle closes"
	AboutRaces   About = "races"
	AboutResends About = "re-sends"
	AboutCuts    About = "cuts"
	AboutHints   About = "hints"
	AboutHTTP10  About = "http10"
	AboutOrder   About = "order"
	AboutCaps    About = "caps"
	AboutQueues  About = "queues"
	AboutTimes   About = "timeouts"
)

// Abouts lists the parts in the order in which they are printed.
func Abouts() []About {
	return []About{AboutIdle, AboutRaces, AboutResends, AboutCuts, AboutHints, AboutHTTP10, AboutOrder, AboutCaps, AboutQueues, AboutTimes}
}

// Stories lists all stories, in the order in which they are printed.
func Stories() []Story {
	return slices.Concat(idleStories(), raceStories(), resendStories(), cutStories(), hintStories(), http10Stories(), orderStories(), capStories(), timeStories())
}

// Pick returns the stories whose names fit a pattern, in which * stands for any
// characters. Several patterns are separated by commas. The error names the nearest story
// if none fits.
func Pick(stories []Story, patterns string) ([]Story, error) {
	if patterns == "" {
		return stories, nil
	}
	var names []string
	for _, s := range stories {
		names = append(names, s.Name)
	}
	wanted := map[string]bool{}
	for _, pattern := range strings.Split(patterns, ",") {
		pattern, any := strings.TrimSpace(pattern), false
		for _, name := range names {
			if fits, err := path.Match(pattern, name); err != nil {
				return nil, fmt.Errorf("%q is not a pattern: write a story's name, with * for any characters", pattern)
			} else if fits {
				wanted[name], any = true, true
			}
		}
		if !any {
			return nil, fmt.Errorf("no story %s%s: 'kabench conform --list' lists the stories", pattern, didYouMean(pattern, names))
		}
	}
	return slices.DeleteFunc(slices.Clone(stories), func(s Story) bool { return !wanted[s.Name] }), nil
}

func didYouMean(word string, names []string) string {
	if near := nearest.Name(word, names); near != "" {
		return " (did you mean " + near + "?)"
	}
	return ""
}

// waits is how long a story lasts at least, as far as its schedule says.
func (s Story) waits() time.Duration {
	sum := s.Watch
	for _, r := range s.Rounds {
		sum += r.After
		if n := len(r.Requests); n > 0 {
			sum += r.Requests[n-1].At
		}
	}
	delay := time.Duration(0)
	for _, r := range s.Server.Rules {
		delay = max(delay, r.Delay, r.Until)
	}
	return sum + delay
}

// one is a round of a single request.
func one(after time.Duration, method string) Round {
	return Round{After: after, Requests: []Ask{ask(0, method)}}
}

// many is a round of n requests, a time apart.
func many(after time.Duration, method string, n int, apart time.Duration) Round {
	r := Round{After: after}
	for i := range n {
		r.Requests = append(r.Requests, ask(time.Duration(i)*apart, method))
	}
	return r
}

// ask is a request of the method; POST and PUT have a body.
func ask(at time.Duration, method string) Ask {
	a := Ask{At: at, Method: method}
	if method == "POST" || method == "PUT" {
		a.Body = 100
	}
	return a
}
