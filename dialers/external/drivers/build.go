package drivers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/kabench/kabench/dialers/external"
)

// unfinished begins the names of directories in which drivers are being built.
const unfinished = ".building-"

// Build builds the driver into the cache, unless the cache has it. It writes to log what
// it does and what the tools print. Builds at the same time do not disturb each other,
// and one that ends early leaves nothing behind. The error is a [*MissingError] if a
// tool is missing.
func (e Entry) Build(ctx context.Context, log io.Writer) (external.Command, error) {
	none := external.Command{}
	if c, ok := e.Built(); ok {
		return c, nil
	}
	if missing := e.Missing(nil); len(missing) > 0 {
		return none, &MissingError{e.Name, missing}
	}
	root, err := Cache()
	if err != nil {
		return none, err
	}
	name, err := e.dirName()
	if err != nil {
		return none, err
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return none, fmt.Errorf("the cache of drivers: %w; set KABENCH_DRIVERS to a directory", err)
	}
	sweep(root)
	dir, err := os.MkdirTemp(root, unfinished+e.Name+"-")
	if err != nil {
		return none, fmt.Errorf("the cache of drivers: %w; set KABENCH_DRIVERS to a directory", err)
	}
	defer os.RemoveAll(dir) // after the rename it is not there
	if err := e.buildIn(ctx, dir, log); err != nil {
		return none, fmt.Errorf("driver %s: %w", e.Name, err)
	}
	return e.keep(dir, filepath.Join(root, name))
}

// keep moves a finished build to its place. A build that was there before stays if it works.
func (e Entry) keep(dir, place string) (external.Command, error) {
	if err := os.Chmod(dir, 0o755); err != nil {
		return external.Command{}, err
	}
	err := os.Rename(dir, place)
	if c, ok := e.builtIn(place); ok {
		return c, nil // this one, or one of another process that was done first
	}
	if err != nil { // what is in the place cannot run any more
		if err = os.RemoveAll(place); err == nil {
			err = os.Rename(dir, place)
		}
	}
	c, ok := e.builtIn(place)
	if err == nil && !ok {
		err = errors.New("the build made no program")
	}
	if err != nil {
		return external.Command{}, fmt.Errorf("driver %s: %w", e.Name, err)
	}
	return c, nil
}

// buildIn writes the sources into dir, and builds them there. What is built must work
// after dir is renamed.
func (e Entry) buildIn(ctx context.Context, dir string, log io.Writer) error {
	files, err := e.files()
	if err != nil {
		return err
	}
	for _, f := range files {
		path := filepath.Join(dir, filepath.FromSlash(f.name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, f.data, 0o644); err != nil {
			return err
		}
	}
	return e.recipe(builder{ctx, dir, log})
}

// builder runs tools in the directory of a build.
type builder struct {
	ctx context.Context
	dir string
	log io.Writer
}

// killTime is how long a tool may take to end after its context.
const killTime = 5 * time.Second

// run runs a tool, with env added to the environment. Its error names the tool, and says the
// last thing that the tool printed.
func (b builder) run(env []string, name string, args ...string) error {
	fmt.Fprintf(b.log, "%s %s\n", filepath.Base(name), strings.Join(args, " "))
	var said bytes.Buffer
	cmd := exec.CommandContext(b.ctx, name, args...)
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout = plain{io.MultiWriter(b.log, &said)}
	cmd.Stderr = cmd.Stdout
	inGroup(cmd)
	cmd.WaitDelay = killTime
	err := cmd.Run()
	if b.ctx.Err() != nil {
		return fmt.Errorf("the build was stopped: %w", context.Cause(b.ctx))
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(name), err, telling(said.String()))
	}
	return nil
}

// escapes are how a program colours its words for a terminal; mvn does so for any reader.
var escapes = regexp.MustCompile(`\x1b\[[0-9;]*[A-Za-z]`)

// plain leaves out escapes.
type plain struct{ to io.Writer }

func (p plain) Write(text []byte) (int, error) {
	if left := escapes.ReplaceAll(text, nil); len(left) > 0 {
		if _, err := p.to.Write(left); err != nil {
			return 0, err
		}
	}
	return len(text), nil
}

// telling is the line of a tool's output that says most: the first with the word error,
// or the last.
func telling(output string) string {
	last := "it printed nothing"
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if strings.Contains(strings.ToLower(line), "error") && len(line) > len("[ERROR] ") {
			return line
		}
		if line != "" {
			last = line
		}
	}
	return last
}
