package cli_test

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/internal/cli"
)

func TestCommandLine(t *testing.T) {
	for line, want := range map[string]string{
		"run steady":           "kabench run steady",
		"run steady --json":    "kabench run steady",
		"run --duration=3s -x": "kabench run --duration 3s --bare",
		"run steady|--set|load.max_lag=1ms|--set|target.headers.Accept=text/html, a=b": "kabench run steady --set load.max_lag=1ms --set 'target.headers.Accept=text/html, a=b'",
		"run|it's here":     `kabench run 'it'\''s here'`,
		"run|":              "kabench run ''",
		"run --live --bare": "kabench run --live --bare",
		"run --live=:8080":  "kabench run --live=:8080",
		"run|--target|http://ann:hunter2hunter2@h:1/?token=abcdefgh12&a=1": "kabench run --target 'http://(blanked)@h:1/?token=(blanked)&a=1'",
		"run|--set|target.headers.Authorization=Bearer abcdefgh12":         "kabench run --set 'target.headers.Authorization=(blanked)'",
		"run|--credentials|abcdefgh12":                                     "kabench run --credentials '(blanked)'",
		"run|a abcdefgh12|--set|target.headers.X-Token=abcdefgh12":         "kabench run 'a (blanked)' --set 'target.headers.X-Token=(blanked)'",
		"run|Cookie: sid=abcdefgh12":                                       "kabench run 'Cookie: (blanked)'",
	} {
		sep := " "
		if strings.Contains(line, "|") {
			sep = "|"
			line = strings.Replace(line, "run ", "run|", 1)
		}
		root := &cobra.Command{Use: "kabench"}
		root.PersistentFlags().Bool("json", false, "")
		got := ""
		run := &cobra.Command{Use: "run", Run: func(c *cobra.Command, _ []string) { got = cli.CommandLine(c) }}
		f := run.Flags()
		f.SortFlags = false
		f.StringArray("set", nil, "")
		f.String("duration", "", "")
		f.String("target", "", "")
		f.String("credentials", "", "")
		f.String("live", "", "")
		f.Lookup("live").NoOptDefVal = "127.0.0.1:0"
		f.BoolP("bare", "x", false, "")
		root.AddCommand(run)
		root.SetArgs(strings.Split(line, sep))
		if err := root.Execute(); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if got != want {
			t.Errorf("%s\ngot  %s\nwant %s", line, got, want)
		}
		if strings.Contains(got, "hunter2") || strings.Contains(got, "abcdefgh12") {
			t.Errorf("a secret is shown: %s", got)
		}
	}
}
