package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/glass"
	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/profiles/script"
)

// pseudo opens a pseudo terminal: other reads what is written to tty.
func pseudo(t *testing.T) (other, tty *os.File) {
	t.Helper()
	other, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("no pseudo terminals here: %v", err)
	}
	t.Cleanup(func() { other.Close() })
	if err := unix.IoctlSetPointerInt(int(other.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(other.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(other.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 40}); err != nil {
		t.Fatal(err)
	}
	if tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close() })
	return other, tty
}

// In a terminal, progress lines are drawn over and over within its width. After Ctrl-C they
// are gone, and the cursor was never hidden.
func TestProgressInATerminal(t *testing.T) {
	other, tty := pseudo(t)
	server, err := lab.Start(script.Server{}, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	g := &glass.Glass{Columns: 40}
	var raw buffer
	go func() {
		text := make([]byte, 4096)
		for {
			n, err := other.Read(text)
			g.Write(text[:n])
			raw.Write(text[:n])
			if err != nil {
				return
			}
		}
	}()
	p := prepare(t, "run", "--target", server.URL(), "--rate", "100/s", "--duration", "1h", "--out", filepath.Join(t.TempDir(), "run"), "--set", "load.max_lag=0")
	p.Stderr = tty
	p.Env = append(os.Environ(), "TERM=xterm")
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Process.Kill(); p.Wait() })
	rate := regexp.MustCompile(`(?m)^rate       \d+/s offered`)
	waitFor(t, "two drawings, the last one whole", func() bool { // a drawing may arrive in pieces
		text := g.String()
		lines := strings.Split(text, "\n")
		return strings.Count(raw.String(), "requests   in") > 1 && rate.MatchString(text) &&
			strings.HasPrefix(lines[0], "127.0.0.1: ") && len(lines) >= 4 && len(lines) <= 7
	})
	p.Process.Signal(os.Interrupt)
	if code := p.exitCode(t); code != exit.Interrupted {
		t.Errorf("exit code %d\n%s", code, g)
	}
	waitFor(t, "the last line", func() bool { return strings.Contains(g.String(), "results: ") })
	if text := g.String(); strings.Contains(text, "requests   ") || !strings.Contains(text, "stopping: waiting") {
		t.Errorf("progress is left on the screen:\n%s", text)
	}
	if strings.Contains(raw.String(), "\x1b[?25l") {
		t.Error("the cursor was hidden")
	}
}

// Ctrl-C ends a forecast, whose parts say nothing, and a search, which shows what it has
// tried until then.
func TestInterruptsEndForecastAndTune(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		seen string
		says *regexp.Regexp // on stdout
	}{
		{[]string{"forecast", "idle-race", "--for", "3650d"}, "about", regexp.MustCompile(`^$`)},
		{[]string{"tune", "idle-race", "--axis", "pool.idle_timeout=100ms..2s", "--goal", "failures = 0", "--for", "1d", "--no-run"},
			"tune: 1 choice tried", regexp.MustCompile("stopped before the end")},
	} {
		t.Run(c.args[0], func(t *testing.T) {
			t.Parallel()
			other, tty := pseudo(t)
			var drawn buffer
			go io.Copy(&drawn, other) // until the terminal is closed
			p := prepare(t, c.args...)
			p.Stderr, p.Env = tty, append(os.Environ(), "TERM=xterm")
			if err := p.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { p.Process.Kill(); p.Wait() })
			waitFor(t, "progress", func() bool { return strings.Contains(drawn.String(), c.seen) })
			p.Process.Signal(os.Interrupt)
			if code := p.exitCode(t); code != exit.Interrupted || !c.says.MatchString(p.stdout.String()) {
				t.Errorf("exit code %d:\n%s\n%s", code, &p.stdout, &drawn)
			}
		})
	}
}
