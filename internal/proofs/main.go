// Command proofs checks forecasts against real runs: it draws profiles at random from a stated
// space, forecasts each, runs it, and writes a table of how the two agree.
//
//	go run ./internal/proofs --docs docs/forecast.md
//
// Forecast and run have the same seed, so they have the same arrivals. What differs is what
// the server draws, and the machine.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	f := flag.NewFlagSet("proofs", flag.ContinueOnError)
	f.SetOutput(stderr)
	n := f.Int("n", 20, "how many profiles to draw; each fifth is about ports that run out")
	seed := f.Uint64("seed", 1, "seed of the profiles")
	lasts := f.Duration("duration", time.Minute, "how long each run lasts")
	docs := f.String("docs", "", "replace the table in this `DOCUMENT`, between its marks")
	kabench := f.String("kabench", "", "use this `BINARY` instead of building kabench")
	if f.Parse(args) != nil {
		return 2
	}
	if *n < 1 || *n > 1000 || *lasts < time.Second || *lasts > time.Hour || f.NArg() > 0 {
		fmt.Fprintln(stderr, "proofs: want --n from 1 to 1000, --duration from 1s to 1h, and no other arguments")
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	dir, err := os.MkdirTemp("", "kabench-proofs")
	if err != nil {
		fmt.Fprintln(stderr, "proofs:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	if *kabench == "" {
		*kabench = filepath.Join(dir, "kabench")
		if out, err := exec.CommandContext(ctx, "go", "build", "-o", *kabench, "./cmd/kabench").CombinedOutput(); err != nil {
			fmt.Fprintf(stderr, "proofs: building kabench: %v\n%s", err, out)
			return 1
		}
	}
	var rows []row
	for i := range *n {
		p := draw(*seed, i, *lasts)
		fmt.Fprintf(stderr, "proofs: %d of %d, about %v left: %s\n", i+1, *n, time.Duration(*n-i)*(*lasts+3*time.Second), p.about)
		r, err := prove(ctx, *kabench, filepath.Join(dir, fmt.Sprintf("%d.yaml", i)), p)
		if err != nil {
			fmt.Fprintln(stderr, "proofs:", err)
			return 1
		}
		rows = append(rows, r)
	}
	text := table(rows, *seed, *lasts)
	fmt.Fprint(stdout, text)
	if *docs != "" {
		if err := replace(*docs, text); err != nil {
			fmt.Fprintln(stderr, "proofs:", err)
			return 1
		}
	}
	return 0
}

// The marks between which the table stands in a document.
const begin, end = "<!-- proofs -->\n", "<!-- /proofs -->\n"

func replace(path, text string) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(old), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		return fmt.Errorf("%s has no lines %q and %q, between which the table belongs", path, strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return os.WriteFile(path, []byte(before+begin+text+end+after), 0o644)
}
