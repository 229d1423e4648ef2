package conform

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/results"
)

// Engine performs requests: a real client through its driver, or a preset's pool. It is a
// generator.Engine.
type Engine interface {
	Begin(ctx context.Context, epoch time.Time, over func(*results.Exchange))
	Start(e *results.Exchange)
	Wait(until time.Duration)
	Wake()
}

// Player makes an Engine with a fresh pool, for one play of a story.
type Player interface {
	// Prepare returns the engine, and how to end it. Exchange.Target is an index into
	// requests, which go to origin. What end returns says that the play counts for nothing.
	Prepare(ctx context.Context, origin string, requests []*dialers.Request) (engine Engine, end func() error, err error)
}

// Seen is what one play of a story showed.
type Seen struct {
	Requests  []Request `json:"requests"`
	Conns     []Conn    `json:"connections"`
	Disturbed string    `json:"disturbed,omitempty"` // how the machine disturbed the play; "": it did not
}

// Request is one request and how it ended.
type Request struct {
	Method   string        `json:"method"`
	OK       bool          `json:"ok"`     // the caller got a response; one of 5xx is a proxy's, because the server sends none
	Status   int           `json:"status"` // of it
	Error    string        `json:"error,omitempty"`
	Took     time.Duration `json:"took"`     // from the call to its end, in nanoseconds
	Arrivals []Arrival     `json:"arrivals"` // at the server
}

// givesUp bounds a request that a client never ends. It is longer than what any story has
// the server do.
const givesUp = 40 * time.Second

// Play plays a story once.
func Play(ctx context.Context, story Story, player Player) (Seen, error) {
	server, err := Serve(story.Server)
	if err != nil {
		return Seen{}, fmt.Errorf("the server of the story: %w", err)
	}
	defer server.Close()
	requests, targets, err := story.requests(server.URL())
	if err != nil {
		return Seen{}, err
	}
	engine, end, err := player.Prepare(ctx, strings.TrimSuffix(server.URL(), "/"), requests)
	if err != nil {
		return Seen{}, err
	}
	machine := watchMachine()
	p := &play{story: story, engine: engine, targets: targets, server: server}
	err = p.run(ctx)
	stalled := machine.stop()
	seen := p.seen()
	_, _, late := server.Saw()
	seen.Disturbed = story.disturbed(stalled, p.late, late)
	if lagging, ok := engine.(interface{ Lag() time.Duration }); ok && seen.Disturbed == "" {
		if lag := lagging.Lag(); lag > story.Slack+story.Patience {
			seen.Disturbed = fmt.Sprintf("the driver called its client %v after a request was due", lag.Round(time.Millisecond))
		}
	}
	if endErr := end(); err == nil {
		err = endErr
	}
	return seen, err
}

// requests prepares one request for each method and size of body of the story, and says
// which is which.
func (s Story) requests(url string) (requests []*dialers.Request, targets map[Ask]int, err error) {
	targets = map[Ask]int{}
	for _, r := range s.Rounds {
		for _, a := range r.Requests {
			a.At = 0
			if _, known := targets[a]; known {
				continue
			}
			header := http.Header{"User-Agent": {"kabench-conform"}}
			request, err := dialers.NewRequest(a.Method, url, header, []byte(strings.Repeat("x", a.Body)))
			if err != nil {
				return nil, nil, err
			}
			targets[a] = len(requests)
			requests = append(requests, request.Numbered())
		}
	}
	return requests, targets, nil
}

// play is one play of a story under way. Its loop runs on one goroutine; over may be
// called on another.
type play struct {
	story   Story
	engine  Engine
	targets map[Ask]int
	server  *Server
	epoch   time.Time
	list    []*results.Exchange
	late    time.Duration // the most that a request was started late

	mu   sync.Mutex
	open int // requests that are not over
}

func (p *play) now() time.Duration { return time.Since(p.epoch) }

// run plays the rounds. The error is ctx's, or says that a request never ended.
func (p *play) run(ctx context.Context) error {
	within, abort := context.WithCancel(ctx)
	defer abort()
	p.epoch = time.Now()
	p.engine.Begin(within, p.epoch, func(*results.Exchange) {
		p.mu.Lock()
		p.open--
		p.mu.Unlock()
		p.engine.Wake()
	})
	err := p.rounds(ctx)
	if err == nil {
		err = p.watch(ctx)
	}
	if err != nil {
		abort()
		p.settle(context.WithoutCancel(ctx), p.now()+5*time.Second)
	}
	return err
}

func (p *play) rounds(ctx context.Context) error {
	for _, r := range p.story.Rounds {
		begins := p.now() + r.After
		for _, a := range r.Requests {
			due := begins + a.At
			if !p.waitUntil(ctx, due) {
				return ctx.Err()
			}
			e := &results.Exchange{}
			e.Reset(uint64(len(p.list)), due)
			e.Start = p.now()
			p.late = max(p.late, e.Start-due)
			a.At = 0
			e.Target = p.targets[a]
			p.list = append(p.list, e)
			p.mu.Lock()
			p.open++
			p.mu.Unlock()
			p.engine.Start(e)
		}
		if !p.settle(ctx, p.now()+givesUp) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("a request of story %s did not end within %v", p.story.Name, givesUp)
		}
	}
	return nil
}

// waitUntil lets the engine work until the offset; false: ctx is done.
func (p *play) waitUntil(ctx context.Context, until time.Duration) bool {
	stop := context.AfterFunc(ctx, p.engine.Wake)
	defer stop()
	for p.now() < until {
		if ctx.Err() != nil {
			return false
		}
		p.engine.Wait(until)
	}
	return ctx.Err() == nil
}

// settle lets the engine work until no request is under way, or until the offset; false:
// some are, or ctx is done.
func (p *play) settle(ctx context.Context, until time.Duration) bool {
	stop := context.AfterFunc(ctx, p.engine.Wake)
	defer stop()
	for p.now() < until && ctx.Err() == nil {
		p.mu.Lock()
		open := p.open
		p.mu.Unlock()
		if open == 0 {
			return true
		}
		p.engine.Wait(until)
	}
	return false
}

// watch lets idle connections end by themselves, as long as the story says.
func (p *play) watch(ctx context.Context) error {
	for until := p.now() + p.story.Watch; p.now() < until; {
		conns, _, _ := p.server.Saw()
		if !slices.ContainsFunc(conns, func(c Conn) bool { return c.By == ByNobody }) {
			return nil
		}
		if !p.waitUntil(ctx, min(until, p.now()+ms(50))) {
			return ctx.Err()
		}
	}
	return nil
}

// seen gathers what the play showed.
func (p *play) seen() Seen {
	conns, arrivals, _ := p.server.Saw()
	seen := Seen{Conns: conns}
	place := map[string]int{}
	for i, e := range p.list {
		place[fmt.Sprintf("%020d", e.Seq)] = i
		r := Request{Method: p.method(e), OK: e.OK() && e.Status < http.StatusInternalServerError, Status: e.Status, Took: e.Done - e.Start}
		if e.Err != nil {
			r.Error = e.Err.Error()
		}
		seen.Requests = append(seen.Requests, r)
	}
	for _, a := range arrivals {
		if i, found := place[a.ID]; found {
			seen.Requests[i].Arrivals = append(seen.Requests[i].Arrivals, a)
		}
	}
	return seen
}

func (p *play) method(e *results.Exchange) string {
	for a, target := range p.targets {
		if target == e.Target {
			return a.Method
		}
	}
	return ""
}
