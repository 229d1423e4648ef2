package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/internal/usage"
	"github.com/kabench/kabench/profiles"
)

// newIncident is what was written, with --json.
type newIncident struct {
	File string `json:"file"` // "": none
	Text string `json:"yaml"`
}

func newNewIncident(s *streams) *cobra.Command {
	return &cobra.Command{
		Use:   "new-incident [FILE]",
		Short: "Write an incident to start from, with comments",
		Long: `Write the YAML of an incident of your own, to FILE, which must not exist, or to standard
output. It works as it is: 'kabench reproduce FILE'.`,
		Example: "  kabench new-incident mine.yaml && kabench reproduce ./mine.yaml",
		Args:    usage.AtMostOne("file"),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 && s.json {
				return s.line(newIncident{Text: profiles.NewIncident}, "")
			}
			if len(args) == 0 {
				_, err := io.WriteString(s.out, profiles.NewIncident)
				return err
			}
			f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
			if errors.Is(err, os.ErrExist) {
				return fmt.Errorf("%s is there already; name another file", args[0])
			}
			if err != nil {
				return err
			}
			_, err = io.WriteString(f, profiles.NewIncident)
			if err = errors.Join(err, f.Close()); err != nil {
				return err
			}
			if s.json {
				return s.line(newIncident{File: args[0], Text: profiles.NewIncident}, "")
			}
			fmt.Fprintf(s.err, "written: %s (kabench reproduce ./%s)\n", args[0], args[0])
			return nil
		},
	}
}
