package clients

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/dialers/external"
	"github.com/kabench/kabench/dialers/external/drivers"
	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/conform"
	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/interrupt"
	"github.com/kabench/kabench/internal/usage"
	"github.com/kabench/kabench/profiles"
)

// conformOptions holds the flags of 'kabench conform'.
type conformOptions struct {
	names   []string
	command string
	preset  string
	story   string
	short   bool
	list    bool
	lanes   int
	write   string
}

// defaultLanes is how many processes of a client play at the same time. A client's whole
// set is then as long as its longest story and a few bursts.
const defaultLanes = 4

// NewConform makes 'kabench conform'.
func NewConform(s *cli.Streams) *cobra.Command {
	o := &conformOptions{}
	c := &cobra.Command{
		Use:   "conform [NAME ...]",
		Short: "Play stories with real clients and with their presets, and show where they differ",
		Long: `Play stories with real clients and with their presets, on the same schedule, against a server of
kabench's own, and show where they differ: idle closes, races, re-sends, cut responses, hints, the
order of leases, caps, queues and timeouts. NAME is a driver ('kabench driver list'); without names
all drivers that are built are played. A client takes about a minute.

kabench compares what arrived at the server and how each request ended for its caller; times only
where a story is about them. A story that this machine disturbed is played again, not judged. A "known"
difference is one that the preset lists as something that it cannot express.

Exit codes: 0 all agrees, or is a known difference; 1 something differs; 2 wrong input, or a client could
not be played; 3 something could not be judged; 130 interrupted.`,
		Example: `  kabench conform reactor-netty
  kabench conform okhttp --story 'idle-*,race-*'
  kabench conform --command 'python3 my_driver.py' --preset requests
  kabench conform --list`,
		RunE: func(c *cobra.Command, args []string) error {
			o.names = args
			return doConform(c, s, o)
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.story, "story", "", "play only stories with these names; * stands for any characters, and a comma separates names")
	f.BoolVar(&o.short, "short", false, "play only the short set, which takes a few seconds")
	f.BoolVar(&o.list, "list", false, "list the stories and what each asks, and play none")
	f.StringVar(&o.preset, "preset", "", "compare the client with this pool preset or YAML file instead of its own")
	f.StringVar(&o.command, "command", "", "a driver of your own, with --preset: the command that starts it")
	f.IntVar(&o.lanes, "lanes", defaultLanes, "how many processes of a client play at the same time")
	f.StringVar(&o.write, "write", "", "write the tables into this Markdown file, and keep the results beside it as JSON; other clients keep their rows")
	return c
}

func doConform(c *cobra.Command, s *cli.Streams, o *conformOptions) error {
	stories, err := o.stories()
	if err != nil {
		return usage.Errorf(c.CommandPath(), "%w", err)
	}
	if o.list {
		return printStories(s, stories)
	}
	list, err := o.clients(stories)
	if err != nil {
		return usage.Errorf(c.CommandPath(), "%w", err)
	}
	if _, _, err := o.kept(); err != nil { // before anything is played
		return err
	}
	ctx, stop, restore := interrupt.Catch(c.Context(), s.Err)
	defer restore()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	reports := playAll(ctx, s, list)
	if err := o.save(reports); err != nil {
		return err
	}
	if err := printReports(s, reports); err != nil {
		return err
	}
	return exitOf(ctx, reports).Err()
}

// stories are those that the flags pick.
func (o *conformOptions) stories() ([]conform.Story, error) {
	if o.lanes < 1 {
		return nil, fmt.Errorf("--lanes: %d processes play nothing; write 1 or more", o.lanes)
	}
	stories, err := conform.Pick(conform.Stories(), o.story)
	if o.short {
		stories = slices.DeleteFunc(stories, func(s conform.Story) bool { return !s.Short })
	}
	if err == nil && len(stories) == 0 {
		err = fmt.Errorf("no story of the short set fits --story %s; leave out --short", o.story)
	}
	return stories, err
}

// clients are the clients to play.
func (o *conformOptions) clients(stories []conform.Story) ([]conform.Client, error) {
	if o.command != "" {
		return o.own(stories)
	}
	var list []conform.Client
	for _, name := range o.names {
		entry, err := drivers.Find(name)
		if err != nil {
			return nil, err
		}
		if _, built := entry.Built(); !built {
			return nil, &drivers.NotBuiltError{Driver: name}
		}
		client, err := o.client(entry, stories)
		if err != nil {
			return nil, err
		}
		list = append(list, client)
	}
	if len(o.names) > 0 {
		return list, nil
	}
	for _, entry := range drivers.All() {
		if _, built := entry.Built(); !built || len(entry.Preset) == 0 {
			continue
		}
		client, err := o.client(entry, stories)
		if err != nil {
			return nil, err
		}
		list = append(list, client)
	}
	if len(list) == 0 {
		return nil, errors.New("no driver is built; 'kabench driver list' shows the drivers, and 'kabench driver build NAME' builds one")
	}
	return list, nil
}

// client is a driver with its presets, or with the one of --preset.
func (o *conformOptions) client(e drivers.Entry, stories []conform.Story) (conform.Client, error) {
	command, _ := e.Built()
	command.Name = e.Name
	c := conform.Client{Command: command, Settings: e.Settings, Stories: stories, Lanes: o.lanes}
	for _, name := range e.Preset {
		preset, found := profiles.FindPool(name)
		if !found {
			return c, fmt.Errorf("driver %s: there is no pool preset %s", e.Name, name)
		}
		c.Presets = append(c.Presets, preset)
		if o.preset != "" && (preset.Name == o.preset || slices.Contains(preset.Also, o.preset)) {
			c.Only = preset.Name
		}
	}
	if o.preset == "" || c.Only != "" {
		return c, nil
	}
	preset, err := profiles.ReadPool(o.preset)
	c.Presets = []profiles.Preset{preset}
	return c, err
}

// own is a driver of the user's own.
func (o *conformOptions) own(stories []conform.Story) ([]conform.Client, error) {
	switch {
	case len(o.names) > 0:
		return nil, fmt.Errorf("--command and the driver %s are two clients; give one of them", o.names[0])
	case o.preset == "":
		return nil, errors.New("--command needs --preset: the pool preset or YAML file to compare its client with")
	}
	command, err := external.ParseCommand(o.command)
	if err != nil {
		return nil, fmt.Errorf("--command: %w", err)
	}
	preset, err := profiles.ReadPool(o.preset)
	return []conform.Client{{Command: command, Presets: []profiles.Preset{preset}, Stories: stories, Lanes: o.lanes}}, err
}

// playAll plays the clients one after another, and shows how far it is.
func playAll(ctx context.Context, s *cli.Streams, list []conform.Client) []conform.Report {
	progress := cli.NewProgress(s)
	defer progress.End()
	reports := []conform.Report{}
	for i, c := range list {
		if ctx.Err() != nil {
			break
		}
		title, began, over, differ := fmt.Sprintf("%s (%d of %d)", c.Command.Name, i+1, len(list)), time.Now(), 0, 0
		progress.Begin(title)
		c.Begins = func(preset string) {
			title, began, over, differ = fmt.Sprintf("%s beside preset %s (%d of %d)", c.Command.Name, preset, i+1, len(list)), time.Now(), 0, 0
			progress.Begin(title)
		}
		c.Done = func(r conform.Result) {
			over++
			if r.Verdict == conform.Differs {
				differ++
			}
			line := fmt.Sprintf("%s: %d of %d stories, %d differ", title, over, len(c.Stories), differ)
			progress.Draw(time.Since(began), []string{line}, line)
		}
		reports = append(reports, conform.Hold(ctx, c)...)
	}
	return reports
}

// results is the file beside the page of --write that keeps the results.
func (o *conformOptions) results() string {
	return strings.TrimSuffix(o.write, filepath.Ext(o.write)) + ".json"
}

// kept reads the page of --write and the results beside it. The error says why the tables
// cannot be written there.
func (o *conformOptions) kept() (page string, before conform.Document, err error) {
	if o.write == "" {
		return "", before, nil
	}
	if err := cli.CheckFiles(o.write, o.results()); err != nil {
		return "", before, err
	}
	text, err := os.ReadFile(o.write)
	if err != nil {
		return "", before, fmt.Errorf("--write: %w", err)
	}
	if _, err := conform.Insert(string(text), ""); err != nil {
		return "", before, fmt.Errorf("--write: %s: %w", o.write, err)
	}
	before, err = conform.Read(o.results())
	return string(text), before, err
}

// save writes the tables into a page, with the results beside it.
func (o *conformOptions) save(reports []conform.Report) error {
	if o.write == "" {
		return nil
	}
	page, before, err := o.kept() // again: another kabench may have written it meanwhile
	if err != nil {
		return err
	}
	doc := before.With(cli.Version(), reports)
	text, err := conform.Insert(page, doc.Markdown())
	if err != nil {
		return fmt.Errorf("%s: %w", o.write, err)
	}
	if err := cli.WriteFile(o.results(), doc.Kept().Encode); err != nil {
		return err
	}
	return cli.WriteFile(o.write, func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	})
}

// exitOf is the exit code for reports.
func exitOf(ctx context.Context, reports []conform.Report) exit.Code {
	c := conform.Count(reports...)
	switch {
	case ctx.Err() != nil:
		return exit.Interrupted
	case slices.ContainsFunc(reports, func(r conform.Report) bool { return r.Error != "" }):
		return exit.Input
	case c.Differ > 0:
		return exit.Unmet
	case c.Unknown > 0:
		return exit.Invalid
	}
	return exit.Done
}
