package conform

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/dialers/external"
	"github.com/kabench/kabench/dialers/pool"
)

// Preset plays stories with kabench's own client under a policy.
type Preset struct{ Policy pool.Policy }

// Prepare implements Player.
func (p Preset) Prepare(_ context.Context, _ string, requests []*dialers.Request) (Engine, func() error, error) {
	client, err := dialers.NewClient(dialers.Config{Policy: p.Policy, Dialer: &dialers.Dialer{}, Requests: requests})
	if err != nil {
		return nil, nil, err
	}
	return client, func() error { client.Close(); return nil }, nil
}

// Real plays stories with a real client, through its driver. It is a Lane.
type Real struct {
	command  external.Command
	settings map[string]any
	driver   *external.Driver
}

// warmUp is enough for a JIT to have compiled what a story needs. A story's moments are
// tens of milliseconds apart, so it need not have compiled all.
var warmUp = external.WarmUp{Requests: 400, Most: 3 * time.Second, Rate: 400}

// start starts the driver and warms it up.
func (r *Real) start(ctx context.Context) error {
	driver, err := external.Start(ctx, r.command)
	if err != nil {
		return err
	}
	if err = driver.Configure(ctx, external.Config{Settings: r.settings, Insecure: true}); err == nil {
		_, err = driver.WarmUp(ctx, warmUp)
	}
	if err != nil {
		driver.Close()
		return err
	}
	r.driver = driver
	return nil
}

// Hello returns the driver's first frame.
func (r *Real) Hello() external.Hello { return r.driver.Hello() }

// Close ends the driver.
func (r *Real) Close() {
	if r.driver != nil {
		r.driver.Close()
	}
}

// Again implements Lane.
func (r *Real) Again(ctx context.Context) error {
	r.Close()
	r.driver = nil
	return r.start(ctx)
}

// Prepare implements Player.
func (r *Real) Prepare(ctx context.Context, origin string, requests []*dialers.Request) (Engine, func() error, error) {
	if r.driver == nil {
		return nil, nil, errNoDriver
	}
	if err := r.driver.Configure(ctx, external.Config{Settings: r.settings, Insecure: true, Origins: []string{origin}}); err != nil {
		return nil, nil, err
	}
	engine, err := external.NewEngine(external.EngineConfig{Driver: r.driver, Requests: requests})
	if err != nil {
		return nil, nil, err
	}
	return lagging{engine}, func() error {
		defer engine.Close()
		select {
		case <-engine.Broken():
			return fmt.Errorf("the driver %s", engine.Report().Ended)
		default:
			return nil
		}
	}, nil
}

// errNoDriver says that a driver ended and did not start again.
var errNoDriver = errors.New("the driver could not be started again")

// lagging is an engine that says how late its client was called.
type lagging struct{ *external.Engine }

// Lag is the most time from a request's start to the client's call.
func (l lagging) Lag() time.Duration {
	return time.Duration(l.Report().Late.Max * float64(time.Second))
}
