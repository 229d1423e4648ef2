package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kabench/kabench/internal/lab"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"kabench": main})
}

// The transcripts in testdata/script are what a user types and sees.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			server, err := lab.Start(lab.Config{Body: 100}, "")
			if err != nil {
				return err
			}
			env.Defer(func() { server.Close() })
			closed, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			closed.Close()
			env.Setenv("SERVER", server.URL())
			env.Setenv("CLOSED", "http://"+closed.Addr().String()+"/")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":    exits,
			"json":     jsonField,
			"envsubst": envsubst,
		},
	})
}

// exits CODE COMMAND...: runs kabench and wants that exit code.
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

// envsubst FILE...: puts the values of variables into files.
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

func TestOutDirNamesAreSafe(t *testing.T) {
	for _, name := range []string{"../../etc", "a b/c", "쇼핑"} {
		dir := outDir("", name)
		if filepath.Dir(dir) != "kabench-results" {
			t.Errorf("%q leads to %s", name, dir)
		}
	}
	if outDir("none", "x") != "" || outDir("here", "x") != "here" {
		t.Error("--out is not taken as it is")
	}
}
