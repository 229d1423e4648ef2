// Package fleet has the commands of agents: agent, and fleet with its subcommands.
package fleet

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/fleet"
	"github.com/kabench/kabench/internal/fleet/broker"
	"github.com/kabench/kabench/internal/interrupt"
	"github.com/kabench/kabench/internal/usage"
)

// agentOptions holds the flags of 'kabench agent'.
type agentOptions struct {
	join        string
	credentials string
	allowed     []string
	anyTarget   bool // for agents that the controller starts itself
	name        string
	dir         string
	deliver     string
	keep, once  bool
	patience    time.Duration
	limit       int
}

// NewAgent makes 'kabench agent'.
func NewAgent(s *cli.Streams) *cobra.Command {
	o := &agentOptions{}
	c := &cobra.Command{
		Use:   "agent --join URL --allow-target HOST[:PORT]",
		Short: "Send a share of the requests of runs that a controller elsewhere makes",
		Long: `Join the fleet of a controller, which is 'kabench run --agents N' elsewhere, and send a share of the
requests of each of its runs. An agent waits until a controller takes it, as long as that may take.

An agent sends only to the targets that its own command line names. *.example.com allows every
name below example.com; without a port every port is allowed. The loopback must be named too.

The results are kept in --dir until the controller has confirmed that it has them. If the agent
was killed, start it again with the same --dir, or with --deliver DIR, and it delivers what it
had recorded.

Ctrl-C, or SIGTERM, ends the agent in an orderly way: it starts no more requests, and delivers what it has.`,
		Example: `  kabench agent --join tls://controller.example.com:4222 --credentials agent.cred --allow-target shop.example.com:443
  kabench agent --join nats://127.0.0.1:4222 --allow-target 127.0.0.1:8080 --name a --once
  kabench agent --join nats://127.0.0.1:4222 --deliver kabench-agent/a`,
		Args: usage.None,
		RunE: func(c *cobra.Command, _ []string) error { return runAgent(c, s, o) },
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.join, "join", "", "URL of the controller's --listen, or of the NATS server of its --broker")
	cli.CredentialsFlag(f, &o.credentials, "agent.cred")
	f.StringArrayVar(&o.allowed, "allow-target", nil, "host, host:port or *.host that this agent may send to; may be repeated")
	f.StringVar(&o.name, "name", "", "name of the agent, which no other one may have (default agent-N in pod N of an Indexed Job, else HOST-PROCESS)")
	f.StringVar(&o.dir, "dir", "", "directory for results until they are delivered (default kabench-agent/NAME)")
	f.StringVar(&o.deliver, "deliver", "", "take part in no run: deliver what an agent that has ended has left in this directory, and end")
	f.BoolVar(&o.keep, "keep", false, "keep the agent's own copy of the results after the controller has them")
	f.BoolVar(&o.once, "once", false, "end after one run")
	f.DurationVar(&o.patience, "patience", 0, "end after this time without a controller, and keep what is not delivered; 0: never")
	f.IntVar(&o.limit, "max-upload", 0, "highest rate at which results are delivered, in kB/s; 0: no limit")
	f.BoolVar(&o.anyTarget, "allow-any-target", false, "")
	_ = f.MarkHidden("allow-any-target")
	return c
}

func runAgent(c *cobra.Command, s *cli.Streams, o *agentOptions) error {
	a, err := o.agent(c)
	if err != nil {
		return err
	}
	ctx, stop, restore := interrupt.CatchWaiting(c.Context(), s.Err, a.WaitsFor)
	defer restore()
	a.Stop = stop
	a.Say = func(line string) { fmt.Fprintf(s.Err, "kabench: %s\n", line) }
	if err := a.Run(ctx); err != nil {
		return err
	}
	select {
	case <-stop:
		return exit.Interrupted
	default:
		return nil
	}
}

// agent is the agent that the flags describe.
func (o *agentOptions) agent(c *cobra.Command) (*fleet.Agent, error) {
	switch {
	case o.join == "":
		return nil, usage.Errorf(c.CommandPath(), "give --join URL, the address at which the controller waits for agents")
	case o.deliver != "" && (o.dir != "" || o.once || len(o.allowed) > 0):
		return nil, usage.Errorf(c.CommandPath(), "--deliver takes part in no run; leave out --dir, --once and --allow-target")
	case o.deliver == "" && len(o.allowed) == 0 && !o.anyTarget:
		return nil, usage.Errorf(c.CommandPath(), "give --allow-target HOST[:PORT] for each host that this agent may send requests to")
	case o.patience < 0 || o.limit < 0:
		return nil, usage.Errorf(c.CommandPath(), "--patience and --max-upload cannot be negative")
	}
	a := &fleet.Agent{
		URL: o.join, Name: o.name, Version: cli.Version(), Dir: o.dir, Keep: o.keep, Once: o.once, Patience: o.patience,
		BytesPerSecond: int64(o.limit) * 1000,
	}
	if a.Name == "" {
		a.Name = fleet.DefaultName()
	}
	if err := fleet.CheckName(a.Name); err != nil {
		return nil, fmt.Errorf("--name: %w", err)
	}
	switch {
	case o.deliver != "":
		a.Dir, a.DeliverOnly = o.deliver, true
	case o.dir == "":
		a.Dir = filepath.Join("kabench-agent", a.Name)
	}
	var err error
	if a.Allowed, err = fleet.ParseAllowed(o.allowed); err != nil {
		return nil, err
	}
	a.Allowed.Any = o.anyTarget
	if o.credentials != "" {
		if a.Credentials, err = broker.Read(o.credentials); err == nil && !o.anyTarget && o.deliver == "" {
			err = a.Credentials.ForAgent()
		}
		if err != nil {
			return nil, fmt.Errorf("--credentials: %w", err)
		}
	}
	return a, nil
}

// NewFleet makes 'kabench fleet'.
func NewFleet(s *cli.Streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "fleet",
		Short: "Look after the agents of runs: who is there, what is missing, how they join",
		Long: `Commands around runs that several agents make ('kabench run --agents'). docs/fleet.md describes
how to run agents on this machine, on several machines, and in a cluster.`,
		Args: usage.None,
		RunE: func(c *cobra.Command, _ []string) error {
			return usage.Errorf(c.CommandPath(), "give a command: status, collect, credentials or manifest")
		},
	}
	c.AddCommand(newStatus(s), newCollect(s), newCredentials(s), NewManifest(s))
	return c
}

// credentialsOptions holds the flags of 'kabench fleet credentials'.
type credentialsOptions struct {
	dir   string
	hosts []string
}

func newCredentials(s *cli.Streams) *cobra.Command {
	o := &credentialsOptions{}
	c := &cobra.Command{
		Use:   "credentials DIR --host NAME",
		Short: "Make the files by which a controller and its agents know each other",
		Long: `Write controller.cred and agent.cred into DIR. The controller gets the first (--credentials), and every
agent the second. They hold keys, so keep them as you keep passwords. The controller's also has a
certificate for --host, the name or address at which agents reach the controller; connections are
encrypted. Other hosts, and a controller with other credentials, are refused.`,
		Example: `  kabench fleet credentials cred --host controller.example.com
  kabench fleet credentials cred --host 10.0.0.7 --host controller.local`,
		Args: usage.One("a directory for the files"),
		RunE: func(c *cobra.Command, args []string) error {
			o.dir = args[0]
			if len(o.hosts) == 0 {
				return usage.Errorf(c.CommandPath(), "give --host NAME, the name or address at which agents reach the controller")
			}
			return makeCredentials(s, o)
		},
	}
	c.Flags().StringArrayVar(&o.hosts, "host", nil, "name or address at which agents reach the controller; may be repeated")
	return c
}

func makeCredentials(s *cli.Streams, o *credentialsOptions) error {
	forController, forAgents, err := broker.Generate(o.hosts)
	if err != nil {
		return err
	}
	controller, agent := filepath.Join(o.dir, "controller.cred"), filepath.Join(o.dir, "agent.cred")
	if err := newFolder(o.dir, controller, agent); err != nil {
		return err
	}
	if err := errors.Join(forController.Write(controller), forAgents.Write(agent)); err != nil {
		return err
	}
	return s.Line(map[string]string{"controller": controller, "agent": agent}, "%s is for the controller, %s for the agents", controller, agent)
}
