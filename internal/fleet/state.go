package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"github.com/kabench/kabench/profiles"
)

// The files of a run on a fleet, beside those of every run.
const (
	fileState  = "fleet.json"
	fileOwn    = "fleet.lock"
	dirBroker  = "broker" // what the embedded broker keeps
	dirLocal   = "local"  // the directories of agents that the controller has started
	dirAgents  = "agents" // the results of the agents, by index
	schemaName = "kabench.fleet/v1"
)

// The phases of a run on a fleet.
const (
	phasePreparing = "preparing" // nothing has been sent
	phaseStarted   = "started"   // the start is agreed
	phaseCollected = "collected" // the controller has returned, with what it had
)

// state is what a controller must know to take up a run that another one has begun. It is
// fleet.json in the run's directory.
type state struct {
	Schema  string `json:"schema"`
	Run     string `json:"run"`
	Version string `json:"version"`
	Phase   string `json:"phase"`

	Broker      string `json:"broker"`                // where agents reach it, without a user or token
	Listen      string `json:"listen,omitempty"`      // of the embedded broker; "": it is another program
	Credentials string `json:"credentials,omitempty"` // path
	Local       bool   `json:"local,omitempty"`       // the controller has started the agents

	Start   int64   `json:"start,omitempty"` // the agreed start by the controller's clock, Unix nanoseconds
	Lasts   float64 `json:"lasts"`           // seconds for which requests are due
	Profile string  `json:"profile"`         // YAML, without secrets
	Seats   []*seat `json:"agents"`
}

// errNoFleet is the error of a directory that holds no run on a fleet.
var errNoFleet = errors.New("it holds no run on a fleet")

func readState(dir string) (*state, error) {
	data, err := os.ReadFile(filepath.Join(dir, fileState))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w; name the directory that was given with --out, or that the run printed", dir, errNoFleet)
	}
	if err != nil {
		return nil, err
	}
	st := &state{}
	if err := json.Unmarshal(data, st); err != nil || st.Schema != schemaName {
		return nil, fmt.Errorf("%s is damaged, or belongs to another version of kabench", filepath.Join(dir, fileState))
	}
	for i, s := range st.Seats {
		if s == nil || s.Index != i {
			return nil, fmt.Errorf("%s is damaged: agent %d is missing in it", filepath.Join(dir, fileState), i)
		}
	}
	return st, nil
}

func (st *state) write(dir string) error {
	if err := writeJSON(filepath.Join(dir, fileState), st, 0o600); err != nil {
		return fmt.Errorf("the state of the fleet cannot be written: %w", err)
	}
	return nil
}

// own locks the directory of a run, so that only one controller is at it. The lock ends with
// the process.
func own(dir string) (*flock.Flock, error) {
	lock := flock.New(filepath.Join(dir, fileOwn))
	held, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("the directory %s cannot be locked: %w", dir, err)
	}
	if !held {
		return nil, fmt.Errorf("another kabench is at the run in %s; wait for it, or stop it first", dir)
	}
	return lock, nil
}

// Begun is a run on a fleet that another process has begun.
type Begun struct {
	Dir     string
	state   *state
	Profile *profiles.Profile // without secrets
}

// Open reads the state of the run in dir.
func Open(dir string) (*Begun, error) {
	st, err := readState(dir)
	if err != nil {
		return nil, err
	}
	p, err := profiles.Load(filepath.Join(dir, fileState), []byte(st.Profile), nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return &Begun{dir, st, p}, nil
}

// Missing lists the agents whose results are not there.
func (b *Begun) Missing() []string { return without(b.state.Seats, (*seat).here) }

// Agents is how many agents the run has.
func (b *Begun) Agents() int { return len(b.state.Seats) }

// CredentialsPath is where the credentials of the run are; "": it has none.
func (b *Begun) CredentialsPath() string {
	own := filepath.Join(b.Dir, dirBroker, fileController)
	if _, err := os.Stat(own); b.ownCredentials() && err == nil {
		return own
	}
	return b.state.Credentials
}

// ownCredentials reports whether the controller has made the credentials of its local agents.
func (b *Begun) ownCredentials() bool { return b.state.Local && b.state.Credentials == "" }

// TakeUp returns a controller for the run. Its Send takes the run up where the other one left
// it: agents that still send are heard of again, and results that are missing are fetched. c
// has what cannot be kept: Credentials, Version, Program, Say, and Broker if its URL has a user
// or token.
func (b *Begun) TakeUp(ctx context.Context, c Config) (*Controller, error) {
	if b.state.Phase == phasePreparing || b.state.Start == 0 {
		return nil, fmt.Errorf("the run in %s had not begun when its controller ended, and nothing was sent; run it again with another --out", b.Dir)
	}
	if b.state.Version != c.Version {
		return nil, fmt.Errorf("kabench %s began the run in %s, and this is kabench %s; take it up with the same version", named(b.state.Version), b.Dir, named(c.Version))
	}
	c.Agents, c.Local, c.InRun = b.Agents(), b.state.Local, true
	if b.ownCredentials() {
		c.Credentials, c.CredentialsPath = nil, "" // open finds them
	}
	if c.Listen = b.state.Listen; c.Listen == "" && c.Broker == "" {
		c.Broker = b.state.Broker
	}
	c.resumed = b.state
	f, err := New(ctx, c)
	if err != nil {
		return nil, err
	}
	for _, seat := range b.state.Seats {
		if seat.Dir != "" {
			f.locals = append(f.locals, &local{name: seat.Name, dir: seat.Dir, instance: seat.Instance})
		}
	}
	return f, nil
}

// Collected reports whether a controller has ended the run and reported it.
func (b *Begun) Collected() bool { return b.state.Phase == phaseCollected }
