package own

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/kabench/kabench/internal/autopsy"
	"github.com/kabench/kabench/internal/autopsy/incident"
	"github.com/kabench/kabench/internal/autopsypage"
	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/cli/verdict"
	"github.com/kabench/kabench/internal/serverfile"
	"github.com/kabench/kabench/internal/usage"
)

// The files in a directory of results, beside server.yaml.
const (
	fileAutopsy = "autopsy.json"
	filePage    = "report.html"
)

// outputs checks the names of the output files.
func (o *autopsyOptions) outputs(command string) error {
	named := map[string]string{}
	for _, one := range []struct{ flag, path string }{
		{"--facts", o.facts}, {"--incident", o.incident}, {"--requests", o.requests}, {"--redact", o.redact},
	} {
		if one.path == "" {
			continue
		}
		if err := overwrites(one.flag, one.path, o.files); err != nil {
			return usage.Errorf(command, "%v", err)
		}
		if other := named[one.path]; other != "" {
			return usage.Errorf(command, "%s and %s name the same file, %s", other, one.flag, one.path)
		}
		named[one.path] = one.flag
	}
	return cli.CheckFiles(o.facts, o.incident, o.requests, o.redact) // to read the captures may take long
}

// write writes what is made of the captures beside the verdict.
func (o *autopsyOptions) write(s *cli.Streams, found *verdict.Found, gather *autopsy.Gatherer) error {
	var seen autopsy.Gathered
	if gather != nil && len(found.Servers) > 0 {
		seen = gather.End(found.Verdict, found.Servers[0].Address)
	}
	if o.requests != "" && len(seen.Requests) == 0 {
		fmt.Fprintf(s.Errors, "not written: %s, because the time of no request is known\n", o.requests)
	} else if o.requests != "" {
		if err := cli.WriteFile(o.requests, func(w io.Writer) error { return autopsy.WriteRequests(w, seen.Requests) }); err != nil {
			return err
		}
		fmt.Fprintf(s.Err, "written: %s (%s)\n", o.requests, count(len(seen.Requests), "request"))
		if seen.Left > 0 {
			fmt.Fprintf(s.Err, "%s more are not in it\n", count(seen.Left, "request"))
		}
	}
	if o.incident != "" {
		if err := writeIncident(s, found.Verdict, seen, o.pool, o.incident); err != nil {
			return err
		}
	}
	if o.out != "" && o.out != "none" {
		if err := keepIn(found, s, o.out, seen); err != nil {
			return err
		}
	}
	if o.redact != "" {
		return redacted(s, found.Verdict, o.redact)
	}
	return nil
}

// keepIn writes the page, the verdict and the server into a directory.
func keepIn(f *verdict.Found, s *cli.Streams, dir string, seen autopsy.Gathered) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	doc := autopsypage.Document{Verdict: f.Verdict, Seen: seen, Advice: f.Advice(), Version: cli.Version()}
	page := filepath.Join(dir, filePage)
	if err := cli.WriteFile(page, func(w io.Writer) error { return autopsypage.Write(w, doc) }); err != nil {
		return err
	}
	err := cli.WriteFile(filepath.Join(dir, fileAutopsy), func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(f)
	})
	if err != nil {
		return err
	}
	if len(f.Servers) > 0 {
		text, err := serverfile.Text(f.Worst(), f.Source())
		if err != nil {
			return err
		}
		if err := cli.WriteFile(filepath.Join(dir, fileServer), verdict.Bytes(text)); err != nil {
			return err
		}
	}
	fmt.Fprintf(s.Err, "results: %s\n", page)
	return nil
}

// writeIncident writes a profile that shows the same.
func writeIncident(s *cli.Streams, v *autopsy.Verdict, seen autopsy.Gathered, pool, path string) error {
	made, err := incident.Of(v, seen, pool)
	if err != nil {
		fmt.Fprintf(s.Errors, "not written: %s, because %v\n", path, err)
		return nil
	}
	text, err := made.Text()
	if err != nil {
		return err
	}
	if err := cli.WriteFile(path, verdict.Bytes(text)); err != nil {
		return err
	}
	fmt.Fprintf(s.Err, "written: %s; run it: kabench reproduce %s\n", path, path)
	for _, says := range made.Says {
		fmt.Fprintf(s.Err, "  %s\n", says)
	}
	fmt.Fprintf(s.Err, "  Expect about %.0f failures (%d to %d) of %s.\n", made.Forecast.Mean, made.Forecast.Low, made.Forecast.High, count(int(made.Forecast.Requests), "request"))
	return nil
}
