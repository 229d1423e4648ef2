package own

import (
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/probe"
	"github.com/kabench/kabench/internal/usage"
	"github.com/kabench/kabench/profiles"
)

// diagnoseOptions holds the flags of 'kabench diagnose'.
type diagnoseOptions struct {
	cli.Aiming
	text   string // the log line, or more of the log
	server string
	limit  time.Duration // of the probe
	out    string
	dryRun bool
}

// NewDiagnose makes 'kabench diagnose'.
func NewDiagnose(s *cli.Streams) *cobra.Command {
	o := &diagnoseOptions{}
	c := &cobra.Command{
		Use:   "diagnose 'LOG LINE' | FILE | -",
		Short: "Go from a log line to a setting that ends it, on your own server",
		Long: `Find out what a log line stands for, measure your server, check the client's settings against it,
reproduce the failure on it, and prove the setting that ends it. The steps are those of the
commands explain, probe, lint and reproduce, in this order; each says what it found and what the
next step is for. LOG LINE may be a part of the line or a whole stack trace. Instead of it, name
a file, or - for standard input.

Without --pool, the pool is that of the client which wrote the line. Without --target, kabench
explains the line, checks the pool and sends nothing. --dry-run says what would be sent.

Exit codes: 0 the failure was reproduced and cleared; 1 it was not, or without --target lint found
a broken rule or the line is unknown; 2 wrong input, or the server cannot be measured; 3 a run is
invalid, or the server was too busy to be measured; 130 interrupted.`,
		Example: `  kabench diagnose 'Connection prematurely closed BEFORE response'
  kabench diagnose 'Connection prematurely closed BEFORE response' --target http://10.0.0.7:8080/health --pool reactor-netty
  kubectl logs api | grep -A5 Exception | kabench diagnose - --target http://10.0.0.7:8080/health --dry-run`,
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		},
		RunE: func(c *cobra.Command, args []string) (err error) {
			if o.text, err = readLine(c, s, args); err != nil {
				return err
			}
			if strings.TrimSpace(o.text) == "" {
				return usage.Errorf(c.CommandPath(), "give the line of your log in quotes, a file with it, or - to read it from standard input")
			}
			if o.limit <= 0 {
				return usage.Errorf(c.CommandPath(), "--limit %v: want a time above 0, for example 5m", o.limit)
			}
			if err := o.Aiming.Check(); err != nil {
				return usage.Errorf(c.CommandPath(), "%w", err)
			}
			return doDiagnose(c, s, o)
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.Target, "target", "", "URL of the server that the client in the log talked to; requests are sent there")
	f.StringVar(&o.Pool, "pool", "", "pool preset or YAML file of the client (default: the client that wrote the line)")
	f.StringVar(&o.server, "server", "", "file with the measured server, as 'kabench probe' writes it, instead of measuring it")
	f.StringArrayVar(&o.Sets, "set", nil, "set a field of the target or the pool, for example target.headers.Authorization=..., target.tls.insecure=true or pool.idle_timeout=30s; may be repeated")
	f.DurationVar(&o.limit, "limit", probe.DefaultLimit, "how long to wait for the server to close idle connections")
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would be sent, how long it would take and on how many connections, and send nothing")
	cli.IMayFlag(f, &o.IMay)
	o.LimitFlags(f)
	f.StringVar(&o.out, "out", "", "directory for the results, or none to keep nothing (default kabench-results/TIME-diagnose)")
	return c
}

// readLine returns the text that the arguments are, or that the file has which they name.
func readLine(c *cobra.Command, s *cli.Streams, args []string) (string, error) {
	if len(args) != 1 || args[0] == "-" {
		return s.ReadText(c, args)
	}
	info, err := os.Stat(args[0])
	if err != nil || !info.Mode().IsRegular() {
		return args[0], nil // hardly a line of a log is the name of a file
	}
	f, err := os.Open(args[0])
	if err != nil {
		return "", err
	}
	defer f.Close()
	return s.ReadLog(f)
}

// subject makes the profile that the client's pool and the target are checked in.
func (o *diagnoseOptions) subject(pool string) (*profiles.Profile, error) {
	sets := []string{"pool=" + pool}
	if o.Target != "" {
		sets = append(sets, "target.url="+o.Target)
	}
	p, err := profiles.LoadToCheck(append(sets, o.Sets...))
	if err != nil {
		return nil, o.InFlags(err)
	}
	return p, nil
}
