package own

import (
	"fmt"
	"io"
	"os"

	"github.com/kabench/kabench/internal/autopsy"
	"github.com/kabench/kabench/internal/capture"
	"github.com/kabench/kabench/internal/capture/redact"
	"github.com/kabench/kabench/internal/cli"
)

// examine reads the captures, and writes what it reads without what must not be shown,
// if path is not "".
func examine(options autopsy.Options, path string) (*autopsy.Verdict, error) {
	if path == "" {
		return autopsy.Examine(options)
	}
	var verdict *autopsy.Verdict
	err := cli.WriteFile(path, func(w io.Writer) (err error) {
		out := redact.NewWriter(w)
		options.Segment = out.Take
		if verdict, err = autopsy.Examine(options); err != nil {
			return err
		}
		return out.End()
	})
	if err != nil {
		return nil, err
	}
	return verdict, nil
}

// redacted says what was written to path, and whether it gives the same verdict.
func redacted(s *cli.Streams, verdict *autopsy.Verdict, path string) error {
	fmt.Fprintf(s.Err, "written: %s\n", path)
	for _, text := range redact.Says() {
		fmt.Fprintf(s.Err, "  %s\n", text)
	}
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	again, err := autopsy.Examine(autopsy.Options{Files: []string{path}})
	if err != nil {
		return fmt.Errorf("%s was written, but cannot be read: %w", path, err)
	}
	if text := autopsy.Differs(verdict, again); text != "" {
		fmt.Fprintf(s.Err, "warning: its verdict is another one (%s)\n", text)
		return nil
	}
	if len(again.Servers) > 0 {
		fmt.Fprintf(s.Err, "checked: kabench autopsy %s gives the same verdict; %s is %s there\n", path, verdict.Servers[0].Address, again.Servers[0].Address)
	}
	return nil
}

// overwrites is the error of an output file that is an input; nil: it is none.
func overwrites(flag, path string, files []string) error {
	out, err := os.Stat(path)
	for _, name := range files {
		same := path == name
		if in, wrong := os.Stat(name); err == nil && wrong == nil && name != capture.Stdin {
			same = same || os.SameFile(in, out)
		}
		if same {
			return fmt.Errorf("%s %s: this is a capture that is read; name another file", flag, path)
		}
	}
	return nil
}
