package clients

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/dialers/external/drivers"
	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/internal/usage"
)

// listedDriver is a row of 'kabench driver list', as --json prints it.
type listedDriver struct {
	Name     string        `json:"name"`
	Client   string        `json:"client"`
	Version  string        `json:"version,omitempty"` // empty: the machine has its own
	Language string        `json:"language"`
	Presets  []string      `json:"presets,omitempty"`
	Note     string        `json:"note,omitempty"`
	Built    bool          `json:"built"`
	Argv     []string      `json:"argv,omitempty"` // how it is started, if it is built
	Missing  []missingTool `json:"missing,omitempty"`
}

type missingTool struct {
	Tool    string `json:"tool"`
	Install string `json:"install"` // on Debian
}

// newDriverList makes 'kabench driver list'.
func newDriverList(s *cli.Streams) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the drivers that come with kabench, and whether they are built", Args: usage.None,
		RunE: func(*cobra.Command, []string) error {
			rows := listedDrivers()
			if s.JSON {
				return json.NewEncoder(s.Out).Encode(rows)
			}
			return printDrivers(s, rows)
		},
	}
}

func listedDrivers() []listedDriver {
	rows := []listedDriver{}
	checked := map[string]bool{}
	for _, e := range drivers.All() {
		row := listedDriver{Name: e.Name, Client: e.Client, Version: e.Version, Language: string(e.Language), Presets: e.Preset, Note: e.Note}
		command, built := e.Built()
		row.Built, row.Argv = built, command.Argv
		for _, t := range e.Missing(checked) {
			row.Missing = append(row.Missing, missingTool{t.Name, t.Install})
		}
		rows = append(rows, row)
	}
	return rows
}

func printDrivers(s *cli.Streams, rows []listedDriver) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "drivers, for --driver NAME; 'kabench driver build NAME' builds one, with packages from the registries of its language\n")
	w := layout.Table(&b)
	fmt.Fprintf(w, "  name\tclient\tlanguage\tpresets\tstate\n")
	for _, r := range rows {
		client := strings.TrimSpace(r.Client + " " + r.Version)
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\n", r.Name, client, r.Language, strings.Join(r.Presets, ", "), r.state())
	}
	w.Flush()
	return layout.Print(s.Out, b.String(), 0)
}

// state is "built", or what is in the way.
func (r listedDriver) state() string {
	var missing []string
	for _, t := range r.Missing {
		missing = append(missing, t.Tool)
	}
	text := "not built"
	if r.Built {
		text = "built"
	}
	if len(missing) > 0 {
		text += "; missing: " + strings.Join(missing, ", ")
	}
	return text
}
