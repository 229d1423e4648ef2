package main

import (
	"runtime"
	"runtime/debug"

	"github.com/kabench/kabench/internal/usage"
	"github.com/spf13/cobra"
)

func newVersion(s *streams) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print kabench's version", Args: usage.None,
		RunE: func(*cobra.Command, []string) error {
			return s.line(map[string]string{"version": version(), "go": runtime.Version()}, "kabench %s (%s)", version(), runtime.Version())
		},
	}
}

// version is that of the module as built: a tag, or "devel" and the revision.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && len(setting.Value) >= 12 {
			return "devel-" + setting.Value[:12]
		}
	}
	return "devel"
}
