package conform

import (
	"context"
	"errors"

	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/dialers/external"
	"github.com/kabench/kabench/dialers/pool"
)

// Preset plays stories with kabench's own client under a policy.
type Preset struct{ Policy pool.Policy }

// Prepare implements Player.
func (p Preset) Prepare(_ context.Context, requests []*dialers.Request) (Engine, func() error, error) {
	client, err := dialers.NewClient(dialers.Config{Policy: p.Policy, Dialer: &dialers.Dialer{}, Requests: requests})
	if err != nil {
		return nil, nil, err
	}
	return client, func() error { client.Close(); return nil }, nil
}

// Real plays stories with a real client, through its driver.
type Real struct {
	Driver   *external.Driver
	Settings map[string]any // by the client's own names
}

// Prepare implements Player.
func (r Real) Prepare(ctx context.Context, requests []*dialers.Request) (Engine, func() error, error) {
	if err := r.Driver.Configure(ctx, external.Config{Settings: r.Settings, Insecure: true}); err != nil {
		return nil, nil, err
	}
	engine, err := external.NewEngine(external.EngineConfig{Driver: r.Driver, Requests: requests})
	if err != nil {
		return nil, nil, err
	}
	return engine, func() error {
		defer engine.Close()
		select {
		case <-engine.Broken():
			return errBroken
		default:
			return nil
		}
	}, nil
}

// errBroken says that a driver cannot be asked any more.
var errBroken = errors.New("the driver has ended, or was ended because of a fault")
