package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/interrupt"
	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/profiles/script"
)

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) != "kabench" {
		os.Unsetenv("COLUMNS") // of the terminal that the tests were started in
		waitTogether()
	}
	testscript.Main(m, map[string]func(){"kabench": main, "kabench-stuck": stuck, "kabench-service": service})
}

// waitTogether lets more tests run at once than there are cores: runs and incidents wait for
// timers most of the time.
func waitTogether() {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		flag.Set("test.parallel", strconv.Itoa(3*max(runtime.GOMAXPROCS(0), 2)))
	}
}

// stuck is a command that ignores interrupts, and whose standard error blocks.
func stuck() {
	_, _, restore := interrupt.Catch(context.Background(), deaf{})
	defer restore()
	os.Stdout.WriteString("ready\n")
	select {}
}

type deaf struct{}

func (deaf) Write([]byte) (int, error) { select {} }

// The transcripts in testdata/script show what a user types and sees.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			server, err := lab.Start(script.Server{Body: 100}, "")
			if err != nil {
				return err
			}
			env.Defer(func() { server.Close() })
			closed, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			closed.Close()
			if cache, err := exec.Command("go", "env", "GOCACHE").Output(); err == nil { // else no driver can be built
				env.Setenv("GOCACHE", strings.TrimSpace(string(cache)))
			}
			env.Setenv("SERVER", server.URL())
			env.Setenv("SERVER_HOST", strings.Trim(server.URL(), "htp:/"))
			env.Setenv("CLOSED_HOST", closed.Addr().String())
			env.Setenv("CLOSED", "http://"+closed.Addr().String()+"/")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":    exits,
			"json":     jsonField,
			"envsubst": envsubst,
			"fits":     fits,
		},
	})
}

// says runs a command here and returns what it printed.
func says(t *testing.T, wantCode exit.Code, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, chatter bytes.Buffer
	if code := run(args, &out, &chatter); code != wantCode {
		t.Errorf("kabench %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), code, wantCode, out.String(), chatter.String())
	}
	return out.String(), chatter.String()
}

// exits CODE ARG...: runs kabench and checks its exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	got := 0
	if err := ts.Exec("kabench", args[1:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Check(err)
		}
		got = exit.ExitCode()
	}
	if (strconv.Itoa(got) == args[0]) == neg {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}

// fits COLUMNS: checks that no line of the last standard output is wider.
func fits(ts *testscript.TestScript, _ bool, args []string) {
	columns, err := strconv.Atoi(args[0])
	ts.Check(err)
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		if n := layout.Columns(strings.TrimSuffix(line, "\n")); n > columns {
			ts.Fatalf("%d columns of %d: %s", n, columns, line)
		}
	}
}

// envsubst FILE...: replaces variables in files by their values.
func envsubst(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		text := os.Expand(ts.ReadFile(name), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600))
	}
}

// json FILE PATH OP VALUE: compares a number or text in a JSON document.
func jsonField(ts *testscript.TestScript, neg bool, args []string) {
	var doc any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &doc))
	for key := range strings.SplitSeq(args[1], ".") {
		switch node := doc.(type) {
		case map[string]any:
			var found bool
			if doc, found = node[key]; !found {
				ts.Fatalf("%s: no %q in %s", args[0], key, args[1])
			}
		case []any:
			i, err := strconv.Atoi(key)
			ts.Check(err)
			doc = node[i]
		default:
			ts.Fatalf("%s: %q leads nowhere in %s", args[0], key, args[1])
		}
	}
	got := fmt.Sprint(doc)
	if f, ok := doc.(float64); ok {
		got = strconv.FormatFloat(f, 'f', -1, 64)
	}
	ok := got == args[3]
	if args[2] == ">" {
		a, err := strconv.ParseFloat(got, 64)
		ts.Check(err)
		b, err := strconv.ParseFloat(args[3], 64)
		ts.Check(err)
		ok = a > b
	}
	if ok == neg {
		ts.Fatalf("%s: %s is %s, want %s %s", args[0], args[1], got, args[2], args[3])
	}
}
