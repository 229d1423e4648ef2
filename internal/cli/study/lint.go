package study

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/usage"
	"github.com/kabench/kabench/internal/wording"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/lint"
)

// lintOptions holds the flags of 'kabench lint'.
type lintOptions struct {
	profile string
	pool    string
	server  string
	via     cli.Via
	ports   int
	sets    []string
}

// NewLint makes 'kabench lint'.
func NewLint(s *cli.Streams) *cobra.Command {
	o := &lintOptions{}
	c := &cobra.Command{
		Use:   "lint [PROFILE]",
		Short: "Check, without traffic, whether client, load balancer and server settings fit together",
		Long: `Check, without any traffic, that the client closes idle connections before the server does, that
caps, queues and limits fit the load and the server, and that no request is sent twice that must
not be.

Describe your server and your load balancer in the profile's sections server and via, or with
--set, or name known ones with --server and --via: kabench cannot find out their settings. Without
a profile, the pool of --pool and the fields given with --set are checked.

Exit codes: 0 nothing found; 1 a rule is broken; 2 wrong input.`,
		Example: `  kabench lint idle-race
  kabench lint mine.yaml --set server.idle_timeout=75s --set via.idle_timeout=60s
  kabench lint --pool go-default-transport --server tomcat --via aws-alb
  kabench lint --pool go-default-transport --set server.idle_timeout=60s --set load.rate=400/s --set server.delay=50ms`,
		Args:              usage.AtMostOne("profile"),
		ValidArgsFunction: cli.CompleteProfiles,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.profile = args[0]
			}
			return doLint(s, o)
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.pool, "pool", "", "pool preset or YAML file, instead of the profile's pool")
	f.StringVar(&o.server, "server", "", "server preset or YAML file, instead of the profile's description of its server")
	o.via.Flag(f, "server preset or YAML file: the load balancer, NAT or proxy in front of the server")
	f.IntVar(&o.ports, "ports", lint.DefaultPorts, "how many local ports the client has for connections to one destination, from each source address")
	f.StringArrayVar(&o.sets, "set", nil, "set any profile field, for example server.idle_timeout=75s; may be repeated")
	return c
}

func doLint(s *cli.Streams, o *lintOptions) error {
	p, err := o.load()
	if err != nil {
		return err
	}
	for _, w := range p.Warnings {
		fmt.Fprintln(s.Err, "warning:", w)
	}
	list := lint.Check(p, lint.Options{Ports: o.ports, Words: wording.For})
	if s.JSON {
		err = json.NewEncoder(s.Out).Encode(list.Findings)
	} else {
		err = cli.PrintChecklist(s.Out, list)
	}
	if err == nil && len(list.Findings) > 0 {
		err = exit.Unmet
	}
	return err
}

// load makes the profile that the command line describes.
func (o *lintOptions) load() (*profiles.Profile, error) {
	if o.profile == "" && o.pool == "" && o.server != "" {
		return nil, usage.Errorf("kabench lint", "--server describes the server; name the client's pool too, with --pool NAME or a profile ('kabench profiles' lists some)")
	}
	if o.profile == "" && o.pool == "" {
		return nil, usage.Errorf("kabench lint", "there is nothing to check: name a profile ('kabench profiles' lists some), or a pool with --pool")
	}
	if o.ports < 1 || o.ports > 65535 {
		return nil, usage.Errorf("kabench lint", "--ports %d: want 1 to 65535", o.ports)
	}
	var sets []string
	if o.pool != "" {
		sets = append(sets, "pool="+o.pool)
	}
	sets = append(sets, o.via.Before(o.sets)...)
	var p *profiles.Profile
	var err error
	if o.profile == "" {
		p, err = profiles.LoadToCheck(sets)
	} else {
		p, err = profiles.Open(o.profile, sets)
	}
	if err != nil {
		return nil, cli.InFlags(err, cli.Given{Path: "pool", Value: o.pool, Flag: "--pool"})
	}
	if o.profile != "" && o.pool != "" {
		p.AssumeUnsaid(textOf(o.profile), sets)
	}
	if o.server != "" {
		server, err := profiles.ReadServer(o.server)
		if err != nil {
			return nil, err
		}
		p.Target.Lab, p.Server = nil, server.Facts
		p.Server.Take(server.Lab)
	}
	if err := o.setAgain(p); err != nil {
		return nil, err
	}
	if err := o.via.Describe(p, o.sets); err != nil {
		return nil, err
	}
	return p, p.ValidateFacts()
}

// textOf returns the text of a profile that has been loaded.
func textOf(nameOrFile string) []byte {
	if embedded, found := profiles.Find(nameOrFile); found {
		return []byte(embedded.Text)
	}
	text, _ := os.ReadFile(nameOrFile) // it was read just now
	return text
}

// setAgain applies --set for the server again, so that it wins over --server.
func (o *lintOptions) setAgain(p *profiles.Profile) error {
	for _, set := range o.sets {
		path, value, _ := strings.Cut(set, "=")
		if section, _, _ := strings.Cut(path, "."); section == "server" {
			if path == "server.idle_timeout" {
				p.Server.IdleForEver = false
			}
			if err := profiles.Set(p, path, value); err != nil {
				return err
			}
		}
	}
	return nil
}
