package measure

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/interrupt"
	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/internal/lab/proxy"
	"github.com/kabench/kabench/internal/usage"
	"github.com/kabench/kabench/profiles"
)

// playedVia explains --via where it is played.
const playedVia = "server preset or YAML file: the NAT, load balancer or proxy to put before kabench's own server"

// labOptions holds the flags of 'kabench lab'.
type labOptions struct {
	profile string
	as      string
	listen  string
	via     cli.Via
	sets    []string
}

// NewLab makes 'kabench lab'.
func NewLab(s *cli.Streams) *cobra.Command {
	o := &labOptions{}
	c := &cobra.Command{
		Use:   "lab [PROFILE]",
		Short: "Start a profile's server, or an imitation of a real one, for other clients",
		Example: `  kabench lab --as tomcat --listen 127.0.0.1:8080
  kabench lab --as node --set target.lab.idle_timeout=2s
  kabench lab --as tomcat --via aws-nlb --set via.idle_timeout=10s
  kabench lab idle-race --set target.lab.idle_timeout=20s`,
		Args:              usage.AtMostOne("profile"),
		ValidArgsFunction: cli.CompleteProfiles,
		RunE: func(c *cobra.Command, args []string) error {
			if (len(args) == 0) == (o.as == "") {
				return usage.Errorf(c.CommandPath(), "name either a profile ('kabench profiles' and 'kabench incidents' list them) or a server with --as ('kabench servers' lists them)")
			}
			if len(args) > 0 {
				o.profile = args[0]
			}
			return doLab(c, s, o)
		},
	}
	c.Flags().StringVar(&o.as, "as", "", "server to imitate: a preset or a YAML file")
	o.via.Flag(c.Flags(), playedVia)
	c.Flags().StringVar(&o.listen, "listen", "", "host:port to listen on (default: a free port of 127.0.0.1)")
	c.Flags().StringArrayVar(&o.sets, "set", nil, "set any profile field, for example target.lab.idle_timeout=5s; may be repeated")
	return c
}

func doLab(c *cobra.Command, s *cli.Streams, o *labOptions) error {
	p, cannot, err := o.load()
	if err != nil {
		return err
	}
	unlike, err := o.via.Put(p)
	if err != nil {
		return err
	}
	cannot = append(cannot, unlike...)
	_, stop, restore := interrupt.CatchWaiting(c.Context(), s.Err, func() string { return "" })
	defer restore()
	if fields := slices.Sorted(maps.Keys(p.Target.Lab.Awaits())); len(fields) > 0 {
		return fmt.Errorf("target.lab.%s: 'kabench lab' makes no run, so no event comes; use a profile that waits for none, or reload_every", fields[0])
	}
	// Clients connect to the link, or else to the first proxy, if there is one: it listens
	// at --listen then.
	serverAt, proxyAt, linkAt := "", "", ""
	switch {
	case p.Target.Link != nil:
		linkAt = o.listen
	case len(p.Target.Proxies) > 0:
		proxyAt = o.listen
	default:
		serverAt = o.listen
	}
	listening := func(at string, err error) error {
		if at == "" {
			return err
		}
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			err = errors.New("another program listens there; choose another port, or 0 for any free port")
		case errors.Is(err, syscall.EADDRNOTAVAIL):
			err = errors.New("this machine has no such address; for example 127.0.0.1:8080")
		default:
			if e, ok := errors.AsType[*net.AddrError](err); ok {
				err = fmt.Errorf("%s; write host:port, for example 127.0.0.1:8080", e.Err)
			}
		}
		return fmt.Errorf("--listen %s: %w", at, err)
	}
	server, err := lab.Start(*p.Target.Lab, serverAt)
	if err != nil {
		return listening(serverAt, err)
	}
	defer server.Close()
	at, addr := server.URL(), server.Addr()
	for i, cfg := range slices.Backward(p.Target.Proxies) {
		listen := ""
		if i == 0 {
			listen = proxyAt
		}
		front, err := proxy.Start(cfg.Proxy, listen, addr)
		if err != nil {
			return listening(listen, err)
		}
		defer front.Close()
		at, addr = front.URL(), front.Addr()
	}
	if p.Target.Link != nil {
		link, err := lab.StartLink(*p.Target.Link, linkAt, addr)
		if err != nil {
			return listening(linkAt, err)
		}
		defer link.Close()
		u, err := url.Parse(at)
		if err != nil {
			return err
		}
		at = link.URL(u).String()
	}
	notes := ""
	for _, c := range cannot {
		notes += "\nunlike the real one: " + c
	}
	serving := map[string]any{"url": at}
	if len(cannot) > 0 {
		serving["cannot"] = cannot
	}
	if err := s.Line(serving, "serving %s at %s (Ctrl-C stops it)%s", p.Name, at, notes); err != nil {
		return err
	}
	<-stop
	server.Close()
	seen := server.Seen()
	return s.Line(map[string]any{
		"connections": seen.Connections, "requests": seen.Requests, "closed_idle": seen.ClosedIdle,
		"closed_first": seen.ClosedFirst, "client_closed": seen.ClientClosed,
		"executed": seen.Executed, "duplicates": seen.Duplicates, "reloads": seen.Reloads,
	}, "%d connections, %d requests; the server closed %d first (%d idle), the client %d",
		seen.Connections, seen.Requests, seen.ClosedFirst, seen.ClosedIdle, seen.ClientClosed)
}

// load returns the profile to serve and, with --as, what the imitated server does that the
// lab cannot.
func (o *labOptions) load() (*profiles.Profile, []string, error) {
	if o.as == "" {
		p, err := profiles.Open(o.profile, o.via.Before(o.sets))
		if err == nil && p.Target.Lab == nil {
			err = fmt.Errorf("%s has no server of its own (target.lab): its target is %s%s", o.profile, profiles.Redact(*p).Target.URL, p.Target.File)
		}
		if err != nil {
			return nil, nil, err
		}
		// Of the profile the lab serves the server and the link, on this machine.
		p.Target.Proxies, p.Network, p.Target.On, p.Target.At = nil, nil, nil, ""
		return p, nil, o.via.Describe(p, o.sets)
	}
	server, err := profiles.ReadServer(o.as)
	if err != nil {
		return nil, nil, err
	}
	p := profiles.Default()
	p.Name, p.Target.Lab = o.as, &server.Lab
	for _, set := range o.via.Before(o.sets) {
		path, value, found := strings.Cut(set, "=")
		if !found || path != "target.lab" && !strings.HasPrefix(path, "target.lab.") && !strings.HasPrefix(path, "target.link.") {
			return nil, nil, fmt.Errorf("--set %s: with --as, only fields of target.lab and target.link can be set, for example target.lab.idle_timeout=5s", set)
		}
		if err := profiles.Set(&p, path, value); err != nil {
			return nil, nil, err
		}
	}
	if p.Target.Lab == nil {
		return nil, nil, errors.New("--set target.lab=null leaves no server to start")
	}
	return &p, slices.Clone(server.Cannot), o.via.Describe(&p, o.sets)
}
