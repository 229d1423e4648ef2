package verdict

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net"
	"time"

	"github.com/kabench/kabench/internal/autopsy"
	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/internal/serverfile"
	"github.com/kabench/kabench/internal/wording"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/lint"
)

// Found is a verdict with what follows from it, as 'kabench autopsy --json' prints it.
type Found struct {
	*autopsy.Verdict
	Settings []profiles.Setting `json:"settings,omitempty"` // of the client, that would have prevented the failures
	Pool     string             `json:"pool,omitempty"`
	Lint     *lint.Checklist    `json:"lint,omitempty"` // with --pool: the pool against the server

	From string `json:"-"` // the command that saw it; "": autopsy
}

// SafeIdle returns an idle timeout for the client that would have prevented the failures,
// by the rule of lint; ok is false if none is known.
func (f *Found) SafeIdle() (idle time.Duration, ok bool) {
	earliest, roundTrip, ok := f.EarliestClose()
	if !ok {
		return 0, false
	}
	idle = lint.Below(earliest, roundTrip)
	return idle, idle > 0
}

// Advise adds the settings that would have prevented the failures, and with a pool what
// lint says.
func (f *Found) Advise(pool string) error {
	if len(f.Servers) == 0 {
		return nil
	}
	sets := []string(nil)
	if pool != "" {
		sets = []string{"pool=" + pool}
	}
	p, err := profiles.LoadToCheck(sets)
	if err != nil {
		return err
	}
	if idle, ok := f.SafeIdle(); ok {
		f.Settings = p.Spelled(map[string]string{"pool.idle_timeout": idle.String()})
	}
	if pool == "" {
		return nil
	}
	preset := serverfile.Preset(f.Worst(), f.Source())
	p.Server = preset.Facts
	p.Server.Take(preset.Lab)
	list := lint.Check(p, lint.Options{Ports: lint.DefaultPorts, Words: wording.For})
	f.Pool, f.Lint = pool, &list
	return nil
}

// Source says where the facts about the server come from.
func (f *Found) Source() serverfile.Source {
	return serverfile.Source{URL: "http://" + f.Worst().Address + "/", From: cmp.Or(f.From, "autopsy"), At: f.Begin}
}

// WriteFacts writes the server's facts.
func (f *Found) WriteFacts(s *cli.Streams, facts string) error {
	if facts == "" {
		return nil
	}
	if len(f.Servers) == 0 {
		fmt.Fprintf(s.Errors, "not written: %s, because no server is in what was read\n", facts)
		return nil
	}
	if _, _, err := net.SplitHostPort(f.Worst().Address); err != nil {
		fmt.Fprintf(s.Errors, "not written: %s, because the log does not give the address of %s\n", facts, f.Worst().Address)
		return nil
	}
	text, err := serverfile.Text(f.Worst(), f.Source())
	if err != nil {
		return err
	}
	if err := cli.WriteFile(facts, Bytes(text)); err != nil {
		return err
	}
	fmt.Fprintf(s.Err, "written: %s (%s)\n", facts, f.Worst().Address)
	return nil
}

// Print prints the verdict, as text or with --json.
func (f *Found) Print(s *cli.Streams) error {
	if s.JSON {
		return json.NewEncoder(s.Out).Encode(f)
	}
	return f.Text(s)
}

// Advice says what would have prevented the failures.
func (f *Found) Advice() (list []string) {
	idle, ok := f.SafeIdle()
	if !ok {
		return nil
	}
	list = append(list, fmt.Sprintf("Close idle connections at the client before the server does, after %s (pool.idle_timeout).", idle))
	for _, one := range f.Settings {
		text := one.Text
		if text == "" {
			text = one.Instead
		}
		list = append(list, one.Client+": "+layout.OneLine(text))
	}
	return list
}
