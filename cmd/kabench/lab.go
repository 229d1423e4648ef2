package main

import (
	"encoding/json"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/internal/lab"
)

// labOptions are the flags of `kabench lab`.
type labOptions struct {
	profile string
	listen  string
	sets    []string
}

func newLab(s *streams) *cobra.Command {
	o := &labOptions{}
	c := &cobra.Command{
		Use:   "lab PROFILE",
		Short: "Serve a profile's target in the foreground, for other clients to use",
		Example: `  kabench lab idle-race --listen 127.0.0.1:8080
  kabench lab idle-race --set target.lab.idle_timeout=20s`,
		Args:              one("a profile; 'kabench profiles' and 'kabench incidents' list them"),
		ValidArgsFunction: completeProfiles,
		RunE: func(c *cobra.Command, args []string) error {
			o.profile = args[0]
			return doLab(c, s, o)
		},
	}
	c.Flags().StringVar(&o.listen, "listen", "", "host:port to listen on (default a free port of 127.0.0.1)")
	c.Flags().StringArrayVar(&o.sets, "set", nil, "set any profile field, as target.lab.idle_timeout=5s; may be repeated")
	return c
}

func doLab(c *cobra.Command, s *streams, o *labOptions) error {
	p, err := loadProfile(o.profile, o.sets)
	if err != nil {
		return err
	}
	if p.Target.Lab == nil {
		return fmt.Errorf("%s has no target of its own to serve (target.lab): its target is %s%s", o.profile, p.Target.URL, p.Target.File)
	}
	_, stop, restore := interruptible(c.Context(), s.err)
	defer restore()
	// What clients are to talk to listens where they were told: the link, if
	// there is one.
	serverAt, linkAt := o.listen, ""
	if p.Target.Link != nil {
		serverAt, linkAt = "", o.listen
	}
	server, err := lab.Start(*p.Target.Lab, serverAt)
	if err != nil {
		return err
	}
	defer server.Close()
	at := server.URL()
	if p.Target.Link != nil {
		link, err := lab.StartLink(*p.Target.Link, linkAt, server.Addr())
		if err != nil {
			return err
		}
		defer link.Close()
		u, err := url.Parse(at)
		if err != nil {
			return err
		}
		at = link.URL(u).String()
	}
	if err := s.line(map[string]any{"url": at}, "serving %s at %s; Ctrl-C ends it", p.Name, at); err != nil {
		return err
	}
	<-stop
	server.Close()
	seen := server.Seen()
	return s.line(map[string]any{
		"connections": seen.Connections, "requests": seen.Requests, "closed_idle": seen.ClosedIdle,
		"closed_first": seen.ClosedFirst, "client_closed": seen.ClientClosed,
	}, "%d connections, %d requests; closed first by the server %d (%d idle), by the client %d",
		seen.Connections, seen.Requests, seen.ClosedFirst, seen.ClosedIdle, seen.ClientClosed)
}

// line prints one line: v with --json, the text otherwise.
func (s *streams) line(v any, format string, args ...any) error {
	if s.json {
		return json.NewEncoder(s.out).Encode(v)
	}
	_, err := fmt.Fprintf(s.out, format+"\n", args...)
	return err
}
