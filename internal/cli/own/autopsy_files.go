package own

import (
	"fmt"
	"io"

	"github.com/kabench/kabench/internal/autopsy"
	"github.com/kabench/kabench/internal/autopsy/incident"
	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/usage"
)

// outputs checks the names of the files that are to be written.
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
	return nil
}

// write writes what is made of the captures beside the verdict.
func (o *autopsyOptions) write(s *cli.Streams, found *autopsyFound, gather *autopsy.Gatherer) error {
	var seen autopsy.Gathered
	if gather != nil && len(found.Servers) > 0 {
		seen = gather.End(found.Servers[0].Address)
	}
	if o.requests != "" {
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
	if o.redact != "" {
		return redacted(s, found.Verdict, o.redact)
	}
	return nil
}

// writeIncident writes a profile that shows the same.
func writeIncident(s *cli.Streams, v *autopsy.Verdict, seen autopsy.Gathered, pool, path string) error {
	made, err := incident.Of(v, seen, pool)
	if err != nil {
		fmt.Fprintf(s.Err, "not written: %s, because %v\n", path, err)
		return nil
	}
	text, err := made.Text()
	if err != nil {
		return err
	}
	if err := cli.WriteFile(path, writes(text)); err != nil {
		return err
	}
	fmt.Fprintf(s.Err, "written: %s; run it: kabench reproduce %s\n", path, path)
	for _, says := range made.Says {
		fmt.Fprintf(s.Err, "  %s\n", says)
	}
	fmt.Fprintf(s.Err, "  Expect about %.0f failures (%d to %d) of %s.\n", made.Forecast.Mean, made.Forecast.Low, made.Forecast.High, count(int(made.Forecast.Requests), "request"))
	return nil
}
