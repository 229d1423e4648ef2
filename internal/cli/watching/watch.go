package watching

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/usage"
	"github.com/kabench/kabench/profiles"
)

// options holds the flags of 'kabench watch'.
type options struct {
	pid       int
	targets   []string
	listens   []string
	container string
	pod       string
	wait      bool
	metrics   string
	length    time.Duration
	out       string
	until     []string
	ring      time.Duration
	times     int
	keep      string
	live      string
	client    string
	facts     string
	every     time.Duration
	scrape    time.Duration
	layers    []string

	// What follows from them.
	to         []netip.AddrPort
	ports      []uint16
	conditions []condition
	limit      int64 // bytes that the results may take
}

// New makes 'kabench watch'.
func New(s *cli.Streams) *cobra.Command {
	o := &options{}
	c := &cobra.Command{
		Use:   "watch {--pid N | --target HOST:PORT | --listen :PORT}",
		Short: "Watch the connections of a service that runs, and say what its pool does wrong",
		Long: `Watch the connections of a service while it runs, without changing it, and end
with a verdict as 'kabench autopsy' does: which requests met the end of their
connection and how, the server's idle timeout, the incident that shows the same,
and the setting in the words of the client.

It looks in four layers, and says what each of them sees, and which right it
lacks for more:
  sockets   the kernel's tables and /proc, with no right beyond the same user
  gauges    what the service's pool says about itself, with --metrics
  kernel    changes of state and RSTs as they happen (CAP_BPF and CAP_PERFMON)
  packets   the headers of packets (CAP_NET_RAW)
No payload is read.

It ends after --for, with the service, or by Ctrl-C, and the results are kept.
With --until it goes on: it keeps the last minutes in memory (--ring), and writes
them when the condition holds.

Exit codes: 0 no request met the end of its connection; 1 requests did; 2 wrong
input; 130 stopped before --for was over.`,
		Example: `  kabench watch --pid 4711 --for 10m
  kabench watch --target 10.25.3.7:8080 --metrics http://127.0.0.1:9090/metrics
  kabench watch --listen :8080 --live :0
  kabench watch --pid 4711 --until 'failures > 0' --ring 5m --keep 1GB --out race
  sudo kabench watch --container 3f1c --target 10.25.3.7:8080 --client reactor-netty`,
		Args: usage.None,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			return watchService(c, s, o)
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.IntVar(&o.pid, "pid", 0, "process whose connections are watched")
	f.StringArrayVar(&o.targets, "target", nil, "watch connections to this server, host:port; may be repeated")
	f.StringArrayVar(&o.listens, "listen", nil, "watch connections that are accepted at this port, :PORT; may be repeated")
	f.StringVar(&o.container, "container", "", "watch the processes of this container, by its id or the beginning of it")
	f.StringVar(&o.pod, "pod", "", "watch the processes of this pod, by its uid, or by its name in Kubernetes")
	f.BoolVar(&o.wait, "wait", false, "with --container or --pod: wait until it is there")
	f.StringVar(&o.metrics, "metrics", "", "URL at which the service shows its pool's gauges to Prometheus")
	f.DurationVar(&o.length, "for", 0, "how long to watch (default: until Ctrl-C or the end of the service)")
	f.StringVar(&o.out, "out", "", "directory for the results, or none to keep nothing (default kabench-results/TIME-watch)")
	f.StringArrayVar(&o.until, "until", nil, "write the last minutes when this holds, and go on, for example 'failures > 0'; may be repeated: "+strings.Join(headPaths(), ", "))
	f.DurationVar(&o.ring, "ring", 0, "with --until: how many of the last minutes are written (default 5m)")
	f.IntVar(&o.times, "times", 0, "with --until: end after it has held so often (default: go on)")
	f.StringVar(&o.keep, "keep", "", "with --until: leave out the oldest results beyond this size, for example 1GB")
	f.StringVar(&o.live, "live", "", "serve the report while it goes on: :8080 for this machine only, :0 for any free port, HOST:PORT for other machines too")
	f.StringVar(&o.client, "client", "", "pool preset of the service's client: name the setting in its words, and check it against the server (default: as the gauges are named)")
	f.StringVar(&o.facts, "facts", "", "write the server with the most failures to this YAML file, for lint --server, lab --as and forecast")
	f.DurationVar(&o.every, "every", 100*time.Millisecond, "how often to look at the sockets; seldomer if a look costs more than 2 % of a core")
	f.DurationVar(&o.scrape, "scrape", time.Second, "how often to ask for the gauges")
	f.StringSliceVar(&o.layers, "layers", nil, "use only these layers beside the sockets, of "+strings.Join(layerNames, ", "))
	return c
}

// layerNames are the layers by their names.
var layerNames = []string{"sockets", "gauges", "kernel", "packets"}

// check reads the flags.
func (o *options) check(c *cobra.Command) error {
	wrong := func(format string, args ...any) error { return usage.Errorf(c.CommandPath(), format, args...) }
	switch {
	case o.pid == 0 && len(o.targets) == 0 && len(o.listens) == 0 && o.container == "" && o.pod == "":
		return wrong("name what to watch: --pid N, --target host:port, --listen :PORT, --container ID or --pod NAME")
	case c.Flags().Changed("pid") && o.pid <= 0:
		return wrong("--pid %d: a process has a number above 0", o.pid)
	case o.container != "" && o.pod != "", o.pid != 0 && (o.container != "" || o.pod != ""):
		return wrong("--pid, --container and --pod each name the processes; give one of them")
	case o.wait && o.container == "" && o.pod == "":
		return wrong("--wait needs --container or --pod")
	case o.length < 0, c.Flags().Changed("for") && o.length == 0:
		return wrong("--for %v: want a time above 0, for example 10m", o.length)
	case o.every < 10*time.Millisecond:
		return wrong("--every %v: want at least 10ms", o.every)
	case o.scrape < 100*time.Millisecond:
		return wrong("--scrape %v: want at least 100ms", o.scrape)
	case len(o.until) == 0 && (o.ring != 0 || o.times != 0 || o.keep != ""):
		return wrong("--ring, --times and --keep need --until")
	case o.ring < 0, o.times < 0:
		return wrong("--ring and --times: want a value above 0")
	}
	if len(o.layers) > 0 && o.metrics != "" && !o.uses("gauges") {
		return wrong("--metrics is for the layer gauges; add it to --layers, or leave --metrics out")
	}
	if o.metrics == "" && len(o.layers) > 0 && o.uses("gauges") {
		return wrong("--layers gauges needs --metrics URL, at which the service shows them")
	}
	for _, name := range o.layers {
		if !known(name) {
			return wrong("--layers %s: want some of %s", name, strings.Join(layerNames, ", "))
		}
	}
	if o.ring == 0 {
		o.ring = 5 * time.Minute
	}
	for _, line := range o.until {
		one, err := parseCondition(line)
		if err != nil {
			return wrong("--until %v", err)
		}
		o.conditions = append(o.conditions, one)
	}
	if o.keep != "" {
		var err error
		if o.limit, err = parseSize(o.keep); err != nil {
			return wrong("--keep %v", err)
		}
	}
	if o.metrics != "" {
		u, err := url.Parse(o.metrics)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return wrong("--metrics %s: want a URL, for example http://127.0.0.1:9090/metrics", o.metrics)
		}
	}
	if o.client != "" {
		if _, err := profiles.LoadToCheck([]string{"pool=" + o.client}); err != nil {
			return wrong("--client %s: %w", o.client, err)
		}
	}
	if err := o.addresses(c.Context(), wrong); err != nil {
		return err
	}
	return cli.CheckFiles(o.facts)
}

func known(name string) bool {
	for _, one := range layerNames {
		if one == name {
			return true
		}
	}
	return false
}

// uses reports whether the flags want a layer.
func (o *options) uses(layer string) bool {
	if len(o.layers) == 0 {
		return true
	}
	for _, one := range o.layers {
		if one == layer {
			return true
		}
	}
	return false
}

// lookupTime bounds the lookup of a name.
const lookupTime = 5 * time.Second

// addresses reads --target and --listen. All addresses of a name are watched.
func (o *options) addresses(ctx context.Context, wrong func(string, ...any) error) error {
	for _, text := range o.targets {
		host, port, err := net.SplitHostPort(text)
		number, bad := strconv.ParseUint(port, 10, 16)
		if err != nil || bad != nil || host == "" || number == 0 {
			return wrong("--target %s: want host:port, for example 10.25.3.7:8080", text)
		}
		if a, err := netip.ParseAddr(host); err == nil {
			o.to = append(o.to, netip.AddrPortFrom(a.Unmap(), uint16(number)))
			continue
		}
		looking, cancel := context.WithTimeout(ctx, lookupTime)
		list, err := net.DefaultResolver.LookupNetIP(looking, "ip", host)
		cancel()
		if err != nil {
			return wrong("--target %s: %v", text, reason(err))
		}
		for _, a := range list {
			o.to = append(o.to, netip.AddrPortFrom(a.Unmap(), uint16(number)))
		}
	}
	for _, text := range o.listens {
		host, port, err := net.SplitHostPort(text)
		if err != nil {
			port = text
		}
		if host != "" {
			return wrong("--listen %s: want a port without an address, for example :%s; it counts at all addresses", text, port)
		}
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil || number == 0 {
			return wrong("--listen %s: want a port, for example :8080", text)
		}
		o.ports = append(o.ports, uint16(number))
	}
	return nil
}

// reason shortens an error of a lookup.
func reason(err error) error {
	if at, ok := errors.AsType[*net.DNSError](err); ok {
		return fmt.Errorf("%s: %s", at.Name, at.Err)
	}
	return err
}
