package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// argument is one argument of a command: quoted, or without a space.
var argument = regexp.MustCompile(`'[^']*'|"[^"]*"|\S+`)

// TestDocumentCommandsParse: kabench accepts the name, flags and arguments of every
// command in the console blocks of these documents. Korean versions have the same
// blocks (languages_test.go).
func TestDocumentCommandsParse(t *testing.T) {
	for _, file := range []string{"../../docs/tutorial.md", "../../docs/concepts.md", "../../docs/fleet.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, m := range regexp.MustCompile(`(?m)^\$ kabench (.*)$`).FindAllStringSubmatch(string(text), -1) {
			found++
			args := argument.FindAllString(m[1], -1)
			for i := range args {
				args[i] = strings.Trim(args[i], `'"`)
			}
			root := newRoot(&strings.Builder{}, &strings.Builder{})
			command, rest, err := root.Find(args)
			if err == nil {
				err = command.ParseFlags(rest)
			}
			if err == nil {
				err = command.ValidateArgs(command.Flags().Args())
			}
			if err != nil || command == root {
				t.Errorf("%s: kabench %s: %v", file, m[1], err)
			}
		}
		if found < 5 {
			t.Errorf("%s has only %d commands", file, found)
		}
	}
}
