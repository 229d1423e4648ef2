package study

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/internal/usage"
	"github.com/kabench/kabench/internal/wording"
)

// NewExplain makes 'kabench explain'.
func NewExplain(s *cli.Streams) *cobra.Command {
	list, pool := false, ""
	c := &cobra.Command{
		Use:   "explain TEXT | explain -",
		Short: "Explain what a log line of a client or a proxy proves, and what it does not",
		Long: `Find out which client or proxy wrote a log line, in which phase the request ended and why, what
that proves and what it does not, which incident shows it, and what to check next. TEXT may be a
part of the line or a whole stack trace. With -, it is read from standard input, up to 1 MiB.
With --pool, the setting is also written as the documentation of that client spells it, with an
example's value.

Exit codes: 0 the text is known; 1 the text is unknown, and similar known texts are shown.`,
		Example: `  kabench explain 'Pending acquire queue has reached its maximum size of 32'
  kabench explain 'Connection prematurely closed BEFORE response' --pool spring-webclient
  kubectl logs api | grep -A5 Exception | kabench explain -
  kabench explain --list`,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case list && len(args) > 0:
				return usage.Errorf(c.CommandPath(), "--list takes no TEXT")
			case list:
				return printWordings(s, wording.All())
			}
			text, err := s.ReadText(c, args)
			if err != nil {
				return err
			}
			if strings.TrimSpace(text) == "" {
				return usage.Errorf(c.CommandPath(), "give a text from a log, or - to read it from standard input; --list prints all known texts")
			}
			return explain(s, text, pool)
		},
	}
	c.Flags().StringVar(&pool, "pool", "", "pool preset: write the setting in the words of its client")
	c.Flags().BoolVar(&list, "list", false, "list all known texts, by client")
	return c
}

func explain(s *cli.Streams, text, pool string) error {
	e := cli.Explain(text)
	var err error
	if pool != "" {
		if err = e.InWordsOf(pool); err != nil {
			return fmt.Errorf("--pool: %w", err)
		}
	}
	if s.JSON {
		err = json.NewEncoder(s.Out).Encode(e)
	} else {
		err = e.Print(s.Out)
	}
	if err == nil && !e.Known {
		return exit.Unmet
	}
	return err
}

func printWordings(s *cli.Streams, all []wording.Wording) error {
	if s.JSON {
		return json.NewEncoder(s.Out).Encode(all)
	}
	var b bytes.Buffer
	w := layout.Table(&b)
	for _, known := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\n", known.Client, known.Outcomes[0], known.Text)
	}
	w.Flush()
	return layout.Print(s.Out, b.String(), 0)
}
