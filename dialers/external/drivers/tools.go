package drivers

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// Tool is a program, or a part of one, that must be on this machine.
type Tool struct {
	Name    string
	Check   []string // a command that succeeds if the tool is there; a single word need only be in PATH
	Install string   // how it gets there on Debian
}

// tools are the tools of all drivers.
var tools = []Tool{
	{"java", []string{"java"}, "apt install default-jdk-headless"},
	{"javac", []string{"javac"}, "apt install default-jdk-headless"},
	{"mvn", []string{"mvn"}, "apt install maven"},
	{"node", []string{"node"}, "apt install nodejs"},
	{"npm", []string{"npm"}, "apt install npm"},
	{"python3", []string{"python3"}, "apt install python3"},
	{"python3's venv", []string{"python3", "-c", "import ensurepip, venv"}, "apt install python3-venv"},
	{"cargo", []string{"cargo"}, "apt install cargo"},
	{"go", []string{"go"}, "apt install golang-go"},
	{"ruby", []string{"ruby"}, "apt install ruby"},
	{"ruby's net-http-persistent", []string{"ruby", "-e", `require "net/http/persistent"`}, "apt install ruby-net-http-persistent"},
	{"nginx", []string{"nginx"}, "apt install nginx-light"},
	{"haproxy", []string{"haproxy"}, "apt install haproxy"},
}

// checkTime bounds the check for a tool.
const checkTime = 20 * time.Second

// there says whether the tool is on this machine.
func (t Tool) there() bool {
	if _, err := exec.LookPath(t.Check[0]); err != nil || len(t.Check) == 1 {
		return err == nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), checkTime)
	defer cancel()
	return exec.CommandContext(ctx, t.Check[0], t.Check[1:]...).Run() == nil
}

// needs returns the names of all tools of a driver, to build it and to run it.
func (e Entry) needs() []string {
	return append(e.languageTools(), e.Tools...)
}

// Missing returns the tools of the driver that are not on this machine. checked remembers
// them by name for several calls; it may be nil.
func (e Entry) Missing(checked map[string]bool) []Tool {
	var missing []Tool
	for _, name := range e.needs() {
		for _, t := range tools {
			if t.Name != name {
				continue
			}
			there, known := checked[name]
			if !known {
				there = t.there()
			}
			if checked != nil {
				checked[name] = there
			}
			if !there {
				missing = append(missing, t)
			}
		}
	}
	return missing
}

// MissingError says which tools of a driver are not on this machine.
type MissingError struct {
	Driver string
	Tools  []Tool
}

func (e *MissingError) Error() string {
	var names, installs []string
	seen := map[string]bool{}
	for _, t := range e.Tools {
		names = append(names, t.Name)
		if !seen[t.Install] {
			installs = append(installs, t.Install)
		}
		seen[t.Install] = true
	}
	verb := "is"
	if len(names) > 1 {
		verb = "are"
	}
	list := names[len(names)-1]
	if len(names) > 1 {
		list = strings.Join(names[:len(names)-1], ", ") + " and " + list
	}
	return fmt.Sprintf("driver %s: %s %s missing; on Debian: %s", e.Driver, list, verb, strings.Join(installs, "; "))
}
