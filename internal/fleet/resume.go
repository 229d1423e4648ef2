package fleet

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/kabench/kabench/profiles"
)

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

// Local reports whether the controller has started the agents itself.
func (b *Begun) Local() bool { return b.state.Local }

// Version is the kabench that has begun the run.
func (b *Begun) Version() string { return b.state.Version }

// CredentialsPath is where the credentials of the run were; "": it had none.
func (b *Begun) CredentialsPath() string { return b.state.Credentials }

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
			f.locals = append(f.locals, &local{name: seat.Name, dir: seat.Dir})
		}
	}
	return f, nil
}

// Collected reports whether a controller has ended the run and reported it.
func (b *Begun) Collected() bool { return b.state.Phase == phaseCollected }
