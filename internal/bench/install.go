package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// installer finds the tools, and installs those that are missing.
type installer struct {
	install bool      // it may install tools
	cache   string    // directory for the programs of Go modules, kept between runs
	temp    string    // directory that is removed after this run
	log     io.Writer // where it writes what it does
}

// get returns the path of a tool's program.
func (in *installer) get(ctx context.Context, t tool) (string, error) {
	name := t.binary
	if name == "" {
		name = t.name
	}
	if t.module != "" {
		return in.module(ctx, t.module)
	}
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	switch {
	case t.crate != "":
		return in.crate(ctx, t.crate)
	case t.debian == "":
		return "", fmt.Errorf("%s is not in PATH; %s", name, t.hint)
	case !in.install:
		return "", fmt.Errorf("%s is not in PATH; apt-get install %s", name, t.debian)
	case os.Geteuid() != 0:
		return "", fmt.Errorf("%s is not in PATH, and installing it needs root: apt-get install %s", name, t.debian)
	}
	fmt.Fprintf(in.log, "bench: installing the Debian package %s (apt-get install %s)\n", t.debian, t.debian)
	if err := in.command(ctx, "", "apt-get", "install", "-y", "--no-install-recommends", t.debian); err != nil {
		return "", err
	}
	return exec.LookPath(name)
}

// module returns the program of a Go module at an exact version. If the cache does not
// have it, module builds it there, in a temporary module that requires it. Unlike 'go
// install', this does not ask the module service for a list of versions, which not every
// service has.
func (in *installer) module(ctx context.Context, module string) (string, error) {
	path, version, _ := strings.Cut(module, "@")
	program := filepath.Join(in.cache, strings.NewReplacer("/", "_", "@", "_").Replace(module)) + exeSuffix()
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	if !in.install {
		return "", fmt.Errorf("%s is not built yet, and --no-install was given", module)
	}
	fmt.Fprintf(in.log, "bench: building %s into %s\n", module, in.cache)
	if err := os.MkdirAll(in.cache, 0o755); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(in.temp, "module")
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("module peer\n\ngo 1.21\n\nrequire %s %s\n", path, version)
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(text), 0o644); err != nil {
		return "", err
	}
	built := filepath.Join(dir, "built")
	if err := in.command(ctx, dir, "go", "build", "-mod=mod", "-o", built, path); err != nil {
		return "", err
	}
	return program, moveFile(built, program)
}

// crate returns the program of a Rust crate at an exact version. If the cache does not
// have it, crate builds it there.
func (in *installer) crate(ctx context.Context, crate string) (string, error) {
	name, version, _ := strings.Cut(crate, "@")
	root := filepath.Join(in.cache, strings.ReplaceAll(crate, "@", "_"))
	program := filepath.Join(root, "bin", name+exeSuffix())
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	if _, err := exec.LookPath("cargo"); err != nil {
		return "", fmt.Errorf("%s is not in PATH, and building it needs cargo: cargo install %s --version %s --locked", name, name, version)
	}
	if !in.install {
		return "", fmt.Errorf("%s is not built yet, and --no-install was given", crate)
	}
	fmt.Fprintf(in.log, "bench: building %s into %s; this can take many minutes\n", crate, root)
	if err := in.command(ctx, "", "cargo", "install", name, "--version", version, "--locked", "--quiet", "--root", root); err != nil {
		return "", err
	}
	return program, nil
}

// moveFile moves a program to a directory that may be on another file system. The
// program appears there completely or not at all.
func moveFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	part := to + ".part"
	if err := os.WriteFile(part, data, 0o755); err != nil {
		return err
	}
	return os.Rename(part, to)
}

// kabench builds kabench from the module of the working directory.
func (in *installer) kabench(ctx context.Context) (string, error) {
	path := filepath.Join(in.temp, kabenchName+exeSuffix())
	if err := in.command(ctx, "", "go", "build", "-o", path, "github.com/kabench/kabench/cmd/kabench"); err != nil {
		return "", fmt.Errorf("building kabench (run bench in its repository, or name a binary with --kabench): %w", err)
	}
	return path, nil
}

func exeSuffix() string {
	if runtime.GOOS == "windows" {
		return ".exe"
	}
	return ""
}

// building is how long the build of a tool may take. The largest, of oha and k6, take
// minutes on two cores.
const building = 40 * time.Minute

// command runs a program for at most the time of a build. Its error has the end of the
// program's output.
func (in *installer) command(ctx context.Context, dir, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, building)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if dir != "" {
		cmd.Env = append(cmd.Env, "GOWORK=off")
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return errors.New(name + " " + args[0] + ": " + err.Error() + ": " + tail(string(out), 300))
	}
	return nil
}

// outputOf returns what a program writes, in one line.
func outputOf(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).Output()
	return tail(string(out), 200), err
}
