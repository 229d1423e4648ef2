package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/internal/children"
	"github.com/kabench/kabench/internal/fleet"
	"github.com/kabench/kabench/internal/fleet/broker"
	"github.com/kabench/kabench/internal/usage"
)

// Fleet holds the flags of commands whose runs several agents can make.
type Fleet struct {
	Agents string
	Meeting
}

// Meeting holds the flags that say where agents meet.
type Meeting struct {
	Listen      string
	Broker      string
	Credentials string
	Wait        time.Duration
}

// Flags adds the flags.
func (o *Fleet) Flags(f *pflag.FlagSet) {
	f.StringVar(&o.Agents, "agents", "", "have several agents send the requests together: local:N starts N on this machine; N waits for N that join ('kabench agent --join')")
	f.StringVar(&o.Listen, "listen", "", "with --agents N: address at which the agents join, for example :4222; it needs --credentials unless it is on the loopback")
	f.StringVar(&o.Broker, "broker", "", "with --agents N: URL of a NATS server with JetStream that runs already, where the agents join")
	CredentialsFlag(f, &o.Credentials, "controller.cred")
	f.DurationVar(&o.Wait, "wait", fleet.DefaultWait, "with --agents: how long to wait for the agents")
}

// CredentialsFlag adds --credentials, which takes the file of that name.
func CredentialsFlag(f *pflag.FlagSet, to *string, file string) {
	f.StringVar(to, "credentials", "", "the file "+file+" that 'kabench fleet credentials' has made")
}

// Check refuses flags that have no effect.
func (o *Fleet) Check(c *cobra.Command) error {
	if o.Agents != "" {
		return nil
	}
	for _, flag := range []string{"listen", "broker", "credentials", "wait"} {
		if c.Flags().Changed(flag) {
			return usage.Errorf(c.CommandPath(), "--%s needs --agents", flag)
		}
	}
	return nil
}

// Size is how many agents are asked for; 0: none, or the flag is wrong.
func (o *Fleet) Size() int {
	n, err := strconv.Atoi(strings.TrimPrefix(o.Agents, "local:"))
	if err != nil {
		return 0
	}
	return n
}

// Open returns the agents; nil: there are none, and this process sends. With inRun the run can
// be taken up by another process (--resume). The caller calls end after the last run.
func (o *Fleet) Open(ctx context.Context, s *Streams, p *Progress, inRun bool) (f kabench.Fleet, end func(), err error) {
	if o.Agents == "" {
		return nil, func() {}, nil
	}
	text, local := strings.CutPrefix(o.Agents, "local:")
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > fleet.MostAgents {
		return nil, nil, fmt.Errorf("--agents %s: want N, or local:N to start the agents on this machine; N is 1 to %d", o.Agents, fleet.MostAgents)
	}
	c, err := o.Config(s, p)
	if err != nil {
		return nil, nil, err
	}
	c.Agents, c.Local, c.InRun = n, local, inRun
	controller, err := fleet.New(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	return controller, sync.OnceFunc(controller.Close), nil
}

// Config is what the flags say about the place where agents meet.
func (o *Meeting) Config(s *Streams, p *Progress) (fleet.Config, error) {
	c := fleet.Config{
		Listen: o.Listen, Broker: o.Broker, CredentialsPath: o.Credentials, Wait: o.Wait, Version: Version(),
		Say: func(line string) {
			if p != nil {
				p.End()
			}
			fmt.Fprintf(s.Err, "kabench: %s\n", line)
		},
	}
	if o.Wait <= 0 {
		return c, fmt.Errorf("--wait %v: want a time above 0", o.Wait)
	}
	self, err := children.Self()
	if err != nil {
		return c, err
	}
	c.Program = fleet.Program(self)
	if o.Credentials != "" {
		if c.Credentials, err = broker.Read(o.Credentials); err != nil {
			return c, fmt.Errorf("--credentials: %w", err)
		}
	}
	return c, nil
}
