package own

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/consent"
	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/interrupt"
	"github.com/kabench/kabench/internal/probe"
	"github.com/kabench/kabench/internal/resultsdir"
	"github.com/kabench/kabench/internal/secrets"
	"github.com/kabench/kabench/internal/target"
	"github.com/kabench/kabench/internal/usage"
	"github.com/kabench/kabench/profiles"
)

// probeOptions holds the flags of 'kabench probe'.
type probeOptions struct {
	url     string
	method  string
	headers []string
	sets    []string
	probe.Options
	pool   string
	facts  string
	out    string
	output []string
	iMay   bool
	dir    string // of the results; "": nothing is kept
}

// NewProbe makes 'kabench probe'.
func NewProbe(s *cli.Streams) *cobra.Command {
	o := &probeOptions{}
	c := &cobra.Command{
		Use:   "probe URL",
		Short: "Measure how a server treats kept connections",
		Long: `Measure, with a few dozen requests, how a server treats kept connections: after which time it
closes idle ones and how, whether its Keep-Alive hint is true, what happens to a request that
arrives at that time, how many requests a connection may carry, and its other timers. The probe
takes two or three seconds longer than the server keeps an idle connection.

It sends at most --max-requests requests, to all addresses of the name together, and stops at
once if the server responds with status 429 or 503. It waits at most --limit; a longer idle
timeout is reported as "longer than".

The results are kept in a directory with server.yaml (which 'kabench lint --server', 'kabench lab
--as' and 'kabench reproduce --server' read), report.html and probe.json.

Exit codes: 0 done; 1 with --pool, lint found a broken rule; 2 wrong input, or the server cannot be
measured; 3 the server was too busy, so the measurement is incomplete; 130 interrupted.`,
		Example: `  kabench probe http://10.0.0.7:8080/health
  kabench probe https://localhost:8443/ --pool reactor-netty --set target.tls.insecure=true
  kabench probe http://10.0.0.7:8080/health --facts server.yaml --out none`,
		Args: usage.One("the URL of a server, for example http://10.0.0.7:8080/health"),
		RunE: func(c *cobra.Command, args []string) error {
			o.url = args[0]
			return doProbe(c, s, o)
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.method, "method", "", "request method (default GET)")
	f.StringArrayVar(&o.headers, "header", nil, "header of the requests, for example 'Authorization: Bearer x'; may be repeated")
	f.IntVar(&o.Requests, "max-requests", probe.DefaultRequests, "how many requests may be sent; more find a higher limit of requests per connection")
	f.DurationVar(&o.Limit, "limit", probe.DefaultLimit, "how long to wait for idle connections to be closed")
	f.BoolVar(&o.WaitAll, "wait-all", false, "wait, up to --limit, for the timers of unused connections and unfinished requests too")
	f.StringVar(&o.pool, "pool", "", "pool preset or YAML file to check against the measured server, as 'kabench lint' does")
	f.StringVar(&o.facts, "facts", "", "write the measured server to this YAML file")
	f.StringVar(&o.out, "out", "", "directory for the results, or none to keep nothing (default kabench-results/TIME-probe)")
	f.StringArrayVarP(&o.output, "output", "o", nil, "write this file as well: report.html the page, server.yaml the measured server, probe.json what --json prints; may be repeated")
	f.BoolVar(&o.iMay, consent.Flag, false, "you are allowed to load the server although it is not in a private network")
	f.StringArrayVar(&o.sets, "set", nil, "set a field of the profile's target, for example target.tls.insecure=true; may be repeated")
	return c
}

func doProbe(c *cobra.Command, s *cli.Streams, o *probeOptions) error {
	profile, request, err := o.request(c.CommandPath())
	if err != nil {
		return err
	}
	if o.TLS, err = target.ClientTLS(profile.Target, nil); err != nil {
		return err
	}
	aim, err := ProbeTarget(c.Context(), request, o.Options, o.iMay)
	if err != nil {
		return err
	}
	if err := cli.CheckFiles(append(slices.Clone(o.output), o.facts)...); err != nil {
		return err
	}
	if o.dir = resultsdir.Out(o.out, "probe"); o.dir != "" {
		if err := o.claim(aim.Name); err != nil {
			return cli.InOut(o.dir, err)
		}
	}
	ctx, stop, restore := interrupt.Catch(c.Context(), s.Err)
	defer restore()
	progress := cli.NewProgress(s)
	o.Stop, o.Progress = stop, showProbe(progress)
	if !s.JSON {
		fmt.Fprintln(s.Err, probeBegins(aim, o.Options))
	}
	result, err := probe.Run(ctx, aim, o.Options)
	progress.End()
	if err == nil {
		err = o.finish(s, result)
	} else {
		o.unclaim()
	}
	return err
}

// ProbeTarget finds where a probe goes to, and refuses what needs consent.
func ProbeTarget(ctx context.Context, r probe.Request, o probe.Options, iMay bool) (*probe.Target, error) {
	aim, err := probe.Resolve(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", secrets.RedactURL(r.URL), err)
	}
	if iMay {
		return aim, nil
	}
	var addrs []netip.Addr
	for _, a := range aim.Addresses {
		addrs = append(addrs, a.Addr())
	}
	return aim, consent.Check(aim.Name, addrs, aim.Budget(o))
}

// probeBegins says what a probe is going to do.
func probeBegins(aim *probe.Target, o probe.Options) string {
	text := fmt.Sprintf("probing %s with %s, for as long as the server keeps an idle connection, at most %s", aim.Name, aim.Budget(o), round(o.Limit))
	if n := len(aim.Addresses); n > 1 {
		text += fmt.Sprintf(" (%d addresses share the requests)", n)
	}
	if n := len(aim.Left); n > 0 {
		text += fmt.Sprintf("; the name has %d more addresses, which are not probed", n)
	}
	return text
}

// request makes the request that the command line describes, and the profile that the
// fields of --set have made.
func (o *probeOptions) request(command string) (p *profiles.Profile, r probe.Request, err error) {
	if o.Requests < 1 {
		return nil, r, usage.Errorf(command, "--max-requests %d: want at least 1", o.Requests)
	}
	if o.Limit <= 0 {
		return nil, r, usage.Errorf(command, "--limit %v: want a time above 0, for example 5m", o.Limit)
	}
	for _, file := range o.output {
		if (&probeFound{}).writerFor(file) == nil {
			return nil, r, usage.Errorf(command, "-o %s: want a name that ends in .html, .yaml or .json", file)
		}
	}
	sets := []string{"target.url=" + o.url}
	if o.method != "" {
		sets = append(sets, "target.method="+o.method)
	}
	for _, set := range o.sets {
		if !strings.HasPrefix(set, "target.") {
			return nil, r, usage.Errorf(command, "--set %s: a probe has only the fields of target, for example target.tls.insecure=true", set)
		}
	}
	if o.pool != "" {
		sets = append(sets, "pool="+o.pool)
	}
	p, err = profiles.LoadToCheck(append(sets, o.sets...))
	if err != nil {
		return nil, r, o.inFlags(err)
	}
	requests, err := profiles.Requests(p)
	if err != nil {
		return nil, r, err
	}
	header := requests[0].Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	for _, line := range o.headers {
		name, value, found := strings.Cut(line, ":")
		if !found {
			return nil, r, usage.Errorf(command, "--header %q: want NAME: VALUE", line)
		}
		header[strings.TrimSpace(name)] = append(header[strings.TrimSpace(name)], strings.TrimSpace(value))
	}
	return p, probe.Request{URL: requests[0].URL, Method: requests[0].Method, Header: header, Body: requests[0].Body}, nil
}

// inFlags makes a complaint about a value name the flag or argument that set the value.
func (o *probeOptions) inFlags(err error) error {
	return cli.InFlags(err, cli.Given{Path: "pool", Value: o.pool, Flag: "--pool"},
		cli.Given{Path: "target.url", Value: o.url, Flag: "URL"}, cli.Given{Path: "target.method", Value: o.method, Flag: "--method"})
}

// finish prints and keeps the result.
func (o *probeOptions) finish(s *cli.Streams, r *probe.Result) error {
	found := &probeFound{Document: r.Document(cli.Version(), o.Options), result: r}
	if o.pool != "" {
		if err := found.check(o.pool); err != nil {
			return err
		}
	}
	if err := found.print(s); err != nil {
		return err
	}
	if err := o.keep(s, found); err != nil {
		return err
	}
	switch {
	case r.Interrupted():
		return exit.Interrupted
	case r.Stopped != nil:
		return exit.Invalid
	case found.Lint != nil && len(found.Lint.Findings) > 0:
		return exit.Unmet
	}
	return nil
}

// round prints a time without the zeros of time.Duration.
func round(d time.Duration) string {
	text := d.Round(time.Millisecond).String()
	text = strings.TrimSuffix(text, "m0s") + map[bool]string{true: "m"}[strings.HasSuffix(text, "m0s")]
	return strings.TrimSuffix(text, "h0m") + map[bool]string{true: "h"}[strings.HasSuffix(text, "h0m")]
}
