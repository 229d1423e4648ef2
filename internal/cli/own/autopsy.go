package own

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/internal/autopsy"
	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/cli/verdict"
	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/usage"
	"github.com/kabench/kabench/profiles"
)

// autopsyOptions holds the flags of 'kabench autopsy'.
type autopsyOptions struct {
	files  []string
	server string
	pool   string
	facts  string

	redact   string
	incident string
	requests string
	out      string
}

// NewAutopsy makes 'kabench autopsy'.
func NewAutopsy(s *cli.Streams) *cobra.Command {
	o := &autopsyOptions{}
	c := &cobra.Command{
		Use:   "autopsy FILE...",
		Short: "Give a verdict from a packet capture or a log",
		Long: `Read packet captures, and say which requests met the end of their connection,
how, and why: which side closed first, after which idle time, and how far the
request and the close were apart. It also reports the idle timeout of each
server, what the clients do, and what the capture cannot say. It sends nothing.

Captures are pcap or pcapng files, also compressed with gzip or zstd, from
tcpdump, Wireshark or kabench itself (packets.pcapng). They may be cut to 96
bytes a packet, begin in the middle of connections, lack packets, or hold each
packet twice. Several files are parts of one capture if they follow each other
in time, and captures of several places if they overlap. The name - is the
standard input.

Logs are those of Reactor Netty, Apache HttpClient 4 and 5 and OkHttp, of Node
with NODE_DEBUG=http,net or undici, of nginx and of HAProxy, as text or as JSON
lines, several in one file too. The lines that decided something are quoted. A
log tells less than a capture; both may be given together, and then the log's
lines stand beside the capture's failures.

Exit codes: 0 done, whatever was found; 1 with --pool, lint found a broken rule;
2 wrong input.`,
		Example: `  kabench autopsy dump.pcapng
  kabench autopsy client.pcap server.pcap --server 10.25.3.7:8080
  kabench autopsy app.log dump.pcapng
  kabench autopsy dump.pcap.gz --pool reactor-netty --facts server.yaml
  kabench autopsy dump.pcapng --out verdict --redact out.pcapng
  kabench autopsy dump.pcapng --pool okhttp --incident mine.yaml`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage.Errorf(c.CommandPath(), "FILE is missing: name a packet capture or a log; make a capture with tcpdump -i any -w FILE tcp")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			o.files = args
			return doAutopsy(c, s, o)
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.server, "server", "", "judge only this server, host:port")
	f.StringVar(&o.pool, "pool", "", "pool preset or YAML file: name the setting in this client's words, and check the pool against the server")
	f.StringVar(&o.facts, "facts", "", "write the server with the most failures to this YAML file, for lint, lab --as and diagnose")
	f.StringVar(&o.out, "out", "", "write report.html, autopsy.json and server.yaml into this directory")
	f.StringVar(&o.incident, "incident", "", "write a profile to this YAML file which shows the same failures: kabench reproduce FILE")
	f.StringVar(&o.requests, "requests", "", "write the times of the requests to the server with the most failures to this file (CSV)")
	f.StringVar(&o.redact, "redact", "", "write the same packets to this pcapng file without payloads, addresses, ports and dates, so that it can be shown to others")
	return c
}

func doAutopsy(c *cobra.Command, s *cli.Streams, o *autopsyOptions) error {
	options := autopsy.Options{Files: o.files}
	var err error
	if options.Server, err = serverAddress(c, o.server); err != nil {
		return err
	}
	if o.pool != "" {
		if _, err := profiles.LoadToCheck([]string{"pool=" + o.pool}); err != nil {
			return fmt.Errorf("--pool %s: %w", o.pool, err)
		}
	}
	if err := o.outputs(c.CommandPath()); err != nil {
		return err
	}
	defer debug.SetGCPercent(debug.SetGCPercent(gcPercent))
	seen, gather, err := o.examine(options)
	if err != nil {
		return err
	}
	found := verdict.Found{Verdict: seen}
	if err := found.Advise(o.pool); err != nil {
		return err
	}
	if err := found.Print(s); err != nil {
		return err
	}
	if err := found.WriteFacts(s, o.facts); err != nil {
		return err
	}
	if err := o.write(s, &found, gather); err != nil {
		return err
	}
	if found.Lint != nil && len(found.Lint.Findings) > 0 {
		return exit.Unmet
	}
	return nil
}

// gcPercent keeps the memory of a large capture low, for a little time.
const gcPercent = 50

// lookupTime bounds the lookup of a name.
const lookupTime = 5 * time.Second

// serverAddress reads --server. A name must have one address: a capture has numbers.
func serverAddress(c *cobra.Command, text string) (netip.AddrPort, error) {
	if text == "" {
		return netip.AddrPort{}, nil
	}
	if a, err := netip.ParseAddrPort(text); err == nil {
		return a, nil
	}
	host, port, err := net.SplitHostPort(text)
	number, wrong := strconv.ParseUint(port, 10, 16)
	if err != nil || wrong != nil || host == "" {
		return netip.AddrPort{}, usage.Errorf(c.CommandPath(), "--server %s: want host:port, for example 10.25.3.7:8080", text)
	}
	ctx, cancel := context.WithTimeout(c.Context(), lookupTime)
	defer cancel()
	list, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil || len(list) != 1 {
		return netip.AddrPort{}, usage.Errorf(c.CommandPath(), "--server %s: the name has %d addresses here; name the one in the capture, for example 10.25.3.7:%s", text, len(list), port)
	}
	return netip.AddrPortFrom(list[0].Unmap(), uint16(number)), nil
}
