package fleet

import (
	"context"
	"slices"
	"time"

	"github.com/kabench/kabench/internal/fleet/broker"
)

// answerWithin is how long agents have to say who they are.
const answerWithin = time.Second

// Ask asks the controller and the agents at a broker what they do.
func Ask(ctx context.Context, url string, c *broker.Credentials) (*Status, error) {
	b, p, err := dial(ctx, url, c, "kabench fleet status", 0, nil)
	if err != nil {
		return nil, err
	}
	defer b.close()
	defer p.close()
	return ask(ctx, b)
}

func ask(ctx context.Context, b bus) (*Status, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	status := &Status{Agents: []AgentStatus{}}
	if answer, err := b.request(ctx, subjectStatus, []byte("{}")); err == nil {
		if c, err := decode[ControllerStatus](answer); err == nil {
			status.Controller = &c
		}
	}
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), answerWithin)
	defer cancel()
	answers, err := b.ask(ctx, subjectRollCall, []byte("{}"))
	if err != nil {
		return nil, err
	}
	for _, answer := range answers {
		if a, err := decode[AgentStatus](answer); err == nil && a.Name != "" {
			status.Agents = append(status.Agents, a)
		}
	}
	slices.SortFunc(status.Agents, func(a, b AgentStatus) int { return compareNames(a.Name, b.Name) })
	return status, nil
}

// Broker is where the agents of the run meet.
func (b *Begun) Broker() string { return b.state.Broker }

// Status is what the run has noted about its agents.
func (b *Begun) Status() *Status {
	status := &Status{}
	for _, s := range b.state.Seats {
		a := AgentStatus{
			Name: s.Name, Host: s.Host, PID: s.PID, Version: s.Version, Index: new(s.Index), Run: b.state.Run, Stage: s.Stage, Delivered: s.here(),
			Clock: Offset{s.Clock.Measures > 0, s.Clock.Offset, s.Clock.Error, s.Clock.Drift, s.Clock.Measures}, Allowed: []string{},
		}
		if s.here() {
			a.Stage = stageDelivered
		}
		if s.Lost != nil {
			a.Lost = s.Lost.Why
		}
		status.Agents = append(status.Agents, a)
	}
	return status
}
