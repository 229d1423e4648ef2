package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"

	"github.com/kabench/kabench/internal/consent"
	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/probe"
	"github.com/kabench/kabench/internal/secrets"
	"github.com/kabench/kabench/internal/serverfile"
	"github.com/kabench/kabench/internal/target"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results/record"
)

// Measure probes the target, and returns the server at the address that closes idle
// connections the soonest. If it is interrupted, it keeps what it found in the directory out
// ("": nowhere), and the error is exit.Interrupted.
func (o *Aiming) Measure(ctx context.Context, s *Streams, out string, stop <-chan struct{}) (profiles.ServerPreset, error) {
	aimed, options, err := o.Probe(ctx)
	if err != nil {
		return profiles.ServerPreset{}, err
	}
	progress := NewProgress(s)
	options.Stop, options.Progress = stop, func(now probe.Progress) {
		line := fmt.Sprintf("%.0f s · probing, %d connections, %d of %d requests · %d closes seen", now.Elapsed.Seconds(), now.Open, now.Requests, now.Most, len(now.Known.Idle))
		progress.Draw(now.Elapsed, []string{line}, line)
	}
	if !s.JSON {
		fmt.Fprintf(s.Err, "measuring %s first, with %s (--server FILE goes without)\n", aimed.Name, aimed.Budget(options))
	}
	found, err := probe.Run(ctx, aimed, options)
	progress.End()
	switch {
	case err != nil:
		return profiles.ServerPreset{}, err
	case found.Interrupted():
		return profiles.ServerPreset{}, interrupted(s, found, out)
	case found.Stopped != nil:
		return profiles.ServerPreset{}, fmt.Errorf("the server could not be measured: %w", found.Stopped)
	}
	server, known := found.Safest()
	if !known {
		return profiles.ServerPreset{}, fmt.Errorf("nothing was found out about the server at %s", aimed.Name)
	}
	if !s.JSON {
		fmt.Fprintf(s.Err, "%s %s\n", server.Address, server.Sentence())
	}
	return serverfile.Preset(server, sourceOf(found)), nil
}

func sourceOf(r *probe.Result) serverfile.Source {
	return serverfile.Source{URL: r.URL, From: "probe", At: r.Began}
}

// interrupted says that the probe was interrupted, and keeps what it found in the directory
// out if it knows an idle timeout.
func interrupted(s *Streams, found *probe.Result, out string) error {
	server, known := found.Safest()
	if !known || !server.Idle.Known() {
		fmt.Fprintln(s.Err, "kabench: interrupted during the probe, before the server's idle timeout was known; nothing is kept")
		return exit.Interrupted
	}
	if out == "" {
		fmt.Fprintf(s.Err, "kabench: interrupted during the probe; %s %s\n", server.Address, server.Sentence())
		return exit.Interrupted
	}
	file := filepath.Join(out, "server.yaml")
	err := record.ClaimWith(out, func() error {
		return WriteFile(file, func(w io.Writer) error {
			text, err := serverfile.Text(server, sourceOf(found))
			if err == nil {
				_, err = w.Write(text)
			}
			return err
		})
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(s.Err, "kabench: interrupted during the probe. What it found is kept: %s (--server %s goes on from there)\n", file, file)
	return exit.Interrupted
}

// WouldMeasure says what Measure would send.
func (o *Aiming) WouldMeasure(ctx context.Context) (string, error) {
	aimed, options, err := o.Probe(ctx)
	if err != nil {
		return "", err
	}
	return aimed.Budget(options), nil
}

// Probe returns what a probe of the target needs: where it goes to, and its options. The error
// is a *consent.Refusal if the target may not be loaded.
func (o *Aiming) Probe(ctx context.Context) (*probe.Target, probe.Options, error) {
	options := probe.Options{}
	sets := []string{"target.url=" + o.Target}
	for _, set := range o.Sets {
		if strings.HasPrefix(set, "target.") && !strings.HasPrefix(set, "target.link") {
			sets = append(sets, set)
		}
	}
	p, err := profiles.LoadToCheck(sets)
	if err != nil {
		return nil, options, err
	}
	if options.TLS, err = target.ClientTLS(p.Target, nil); err != nil {
		return nil, options, err
	}
	requests, err := profiles.Requests(p)
	if err != nil {
		return nil, options, err
	}
	r := requests[0]
	if r.Method != http.MethodGet && !o.AllowUnsafe {
		return nil, options, fmt.Errorf("target.method: %s may change something on the server; add --allow-unsafe if it may be sent many times, or leave the method out (GET)", r.Method)
	}
	aimed, err := probe.Resolve(ctx, probe.Request{URL: r.URL, Method: r.Method, Header: r.Header, Body: r.Body})
	if err != nil {
		return nil, options, fmt.Errorf("%s: %w", secrets.RedactURL(r.URL), err)
	}
	if o.IMay {
		return aimed, options, nil
	}
	var addrs []netip.Addr
	for _, a := range aimed.Addresses {
		addrs = append(addrs, a.Addr())
	}
	return aimed, options, consent.Check(aimed.Name, addrs, aimed.Budget(options)+", and then those of the incident")
}
