package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/imports"
)

// commands returns the commands in the README's console blocks, and the output they show.
func commands(t *testing.T) (list []string, output string) {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(string(readme), -1) {
		for line := range strings.Lines(block[1]) {
			line = strings.TrimRight(line, "\n")
			command, isCommand := strings.CutPrefix(line, "$ ")
			switch {
			case isCommand:
				command = strings.TrimPrefix(command, "go run ./cmd/")
				list = append(list, strings.TrimPrefix(command, "kabench "))
			default:
				output += line + "\n"
			}
		}
	}
	return list, output
}

// labels returns the words of a table or text, without the figures.
func labels(text string) []string {
	table, _, _ := strings.Cut(text, "\nREPRODUCED")
	var list []string
	for line := range strings.Lines(table) {
		label := regexp.MustCompile(`\s{2,}\S.*`).ReplaceAllString(strings.TrimRight(line, "\n"), "")
		if indented := strings.TrimLeft(line, " "); indented != line && !strings.HasPrefix(line, "     ") {
			label = regexp.MustCompile(`\s{2,}.*`).ReplaceAllString(strings.TrimRight(indented, "\n"), "")
		}
		// Chance decides whether a raced request meets a FIN or an RST, whether two FINs
		// cross, and which of the kernel's counters differ, except TCPAbortOnData.
		chance := strings.HasPrefix(label, "before_response / rst") || label == "not known who first" || strings.HasPrefix(label, "kernel ") && label != "kernel TCPAbortOnData"
		if label != "" && !chance {
			list = append(list, label)
		}
	}
	return list
}

// The README's first command prints what the README shows, except for the figures.
func TestReadmeShowsWhatReproducePrints(t *testing.T) {
	if testing.Short() {
		t.Skip("-short makes no incident")
	}
	list, output := commands(t)
	if len(list) == 0 || list[0] != "reproduce idle-race" {
		t.Fatalf("the README's first command is not reproduce idle-race: %q", list)
	}
	var stdout, stderr strings.Builder
	args := append(strings.Fields(list[0]), "--out", "none", "--set", "load.max_lag=0")
	if code := run(args, &stdout, &stderr); code != exit.Done {
		t.Fatalf("exit code %d\n%s%s", code, stdout.String(), stderr.String())
	}
	want, got := labels(output), labels(stdout.String())
	if strings.Join(want, "\n") != strings.Join(got, "\n") {
		t.Errorf("the README says\n%s\n\nand the command\n%s", strings.Join(want, "\n"), strings.Join(got, "\n"))
	}
}

// kabench accepts the name, flags and arguments of every command in the README.
func TestReadmeCommandsParse(t *testing.T) {
	list, _ := commands(t)
	for _, command := range list {
		args, err := imports.Words("kabench " + command)
		if err != nil {
			t.Errorf("kabench %s: %v", command, err)
			continue
		}
		root := newRoot(&strings.Builder{}, &strings.Builder{})
		found, rest, err := root.Find(args[1:])
		if err == nil {
			err = found.ParseFlags(rest)
		}
		if err == nil {
			err = found.ValidateArgs(found.Flags().Args())
		}
		if err != nil || found == root {
			t.Errorf("kabench %s: %v", command, err)
		}
	}
}
