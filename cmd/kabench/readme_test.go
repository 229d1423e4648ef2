package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/kabench/kabench/internal/exit"
)

// commands are the lines of the README's console blocks that call kabench.
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

// labels are what a table or text says, its figures aside.
func labels(text string) []string {
	table, _, _ := strings.Cut(text, "\nREPRODUCED")
	var list []string
	for line := range strings.Lines(table) {
		label := regexp.MustCompile(`\s{2,}\S.*`).ReplaceAllString(strings.TrimRight(line, "\n"), "")
		if indented := strings.TrimLeft(line, " "); indented != line && !strings.HasPrefix(line, "     ") {
			label = regexp.MustCompile(`\s{2,}.*`).ReplaceAllString(strings.TrimRight(indented, "\n"), "")
		}
		// Which of FIN and RST a raced request meets is chance, whether two FINs cross
		// too, and so is which of the kernel's counters differ, but for one.
		chance := strings.HasPrefix(label, "before_response / rst") || label == "not known who first" || strings.HasPrefix(label, "kernel ") && label != "kernel TCPAbortOnData"
		if label != "" && !chance {
			list = append(list, label)
		}
	}
	return list
}

// The README's first command prints what the README says it prints, but for the
// figures.
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

// Every command the README shows parses: its name, its flags, its arguments.
func TestReadmeCommandsParse(t *testing.T) {
	list, _ := commands(t)
	for _, command := range list {
		args := strings.Fields(command)
		root := newRoot(&strings.Builder{}, &strings.Builder{})
		found, rest, err := root.Find(args)
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
