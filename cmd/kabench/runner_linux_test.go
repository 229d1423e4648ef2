package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// actionFile is action.yml: all that GitHub's syntax allows in a composite action. A key that
// is not here is an error.
type actionFile struct {
	Name        string
	Description string
	Author      string
	Inputs      map[string]struct {
		Description string
		Required    bool
		Default     string
	}
	Outputs map[string]struct{ Description, Value string }
	Runs    struct {
		Using string
		Steps []actionStep
	}
}

type actionStep struct {
	ID    string `yaml:"id"`
	If    string
	Uses  string
	With  map[string]string
	Shell string
	Env   map[string]string
	Run   string
}

func readAction(t *testing.T) *actionFile {
	t.Helper()
	text, err := os.ReadFile("../../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	a := &actionFile{}
	if err := yaml.UnmarshalWithOptions(text, a, yaml.Strict(), yaml.DisallowUnknownField()); err != nil {
		t.Fatal(err)
	}
	return a
}

// runner plays a runner of GitHub Actions. It keeps its directory between jobs.
type runner struct {
	t         *testing.T
	action    *actionFile
	temp      string            // the runner's own directory
	workspace string            // where the job runs
	env       map[string]string // beside what every job has
	bin       string            // in front of PATH
}

// played is what a job left behind.
type played struct {
	code    int    // of the step that failed, or 0
	log     string // what the steps printed
	summary string
	outputs map[string]string            // of the action
	used    map[string]map[string]string // other actions, with their inputs
}

// newRunner returns a runner whose program go puts the kabench of this test where the real one
// would build it, and notes how it was called.
func newRunner(t *testing.T, action *actionFile) *runner {
	t.Helper()
	kabench, err := exec.LookPath("kabench")
	if err != nil {
		t.Fatal(err)
	}
	if kabench, err = filepath.EvalSymlinks(kabench); err != nil {
		t.Fatal(err)
	}
	r := &runner{t: t, action: action, temp: t.TempDir(), workspace: t.TempDir(), bin: t.TempDir(), env: map[string]string{}}
	script := fmt.Sprintf("#!/bin/bash\nset -eu\necho \"$@\" >>%q\nto=${GOBIN:-}; [ \"$1\" = install ] || to=$3\nln -s %q \"$to/kabench\"\n", r.goLog(), kabench)
	if err := os.WriteFile(filepath.Join(r.bin, "go"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return r
}

// goLog is where the program go notes its arguments.
func (r *runner) goLog() string { return filepath.Join(r.bin, "go.log") }

// built returns how often kabench was built or installed.
func (r *runner) built() int {
	text, _ := os.ReadFile(r.goLog()) // it is missing if go was never called
	return bytes.Count(text, []byte("\n"))
}

// play runs the steps of the action with these inputs.
func (r *runner) play(inputs map[string]string) *played {
	r.t.Helper()
	job := r.t.TempDir()
	file := func(name string) string { return filepath.Join(job, name) }
	values := map[string]string{"github.action_ref": "", "github.action_path": r.root()}
	for name, in := range r.action.Inputs {
		values["inputs."+name] = in.Default
	}
	for name, value := range inputs {
		if _, known := r.action.Inputs[name]; !known {
			r.t.Fatalf("the action has no input %s", name)
		}
		values["inputs."+name] = value
	}
	p := &played{outputs: map[string]string{}, used: map[string]map[string]string{}}
	path := r.bin + ":" + os.Getenv("PATH")
	for i, step := range r.action.Runs.Steps {
		if !r.holds(step.If, values) {
			continue
		}
		if step.Uses != "" {
			with := map[string]string{}
			for name, value := range step.With {
				with[name] = r.fill(value, values)
			}
			p.used[step.Uses] = with
			continue
		}
		script := file(fmt.Sprintf("step-%d.sh", i))
		r.write(script, r.fill(step.Run, values))
		env := map[string]string{
			"PATH": path, "HOME": job, "LANG": "C.UTF-8", "GIT_CONFIG_NOSYSTEM": "1",
			"RUNNER_TEMP": r.temp, "RUNNER_OS": "Linux", "RUNNER_ARCH": "X64", "GITHUB_WORKSPACE": r.workspace,
			"GITHUB_OUTPUT": file("output"), "GITHUB_PATH": file("path"), "GITHUB_STEP_SUMMARY": file("summary"),
			"GITHUB_REPOSITORY": "acme/shop", "GITHUB_SHA": "0123456789abcdef", "GITHUB_EVENT_PATH": file("event.json"), "CI": "true",
		}
		for _, name := range []string{"output", "path"} {
			r.write(file(name), "")
		}
		if _, err := os.Stat(file("event.json")); err != nil {
			r.write(file("event.json"), `{"ref": "refs/heads/main"}`)
		}
		maps.Copy(env, r.env)
		for name, value := range step.Env {
			env[name] = r.fill(value, values)
		}
		c := exec.Command("bash", "--noprofile", "--norc", "-eo", "pipefail", script)
		c.Dir = r.workspace
		for name, value := range env {
			c.Env = append(c.Env, name+"="+value)
		}
		log, err := c.CombinedOutput()
		p.log += string(log)
		for line := range strings.Lines(r.read(file("output"))) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			values["steps."+step.ID+".outputs."+name] = value
		}
		for line := range strings.Lines(r.read(file("path"))) {
			path = strings.TrimSuffix(line, "\n") + ":" + path
		}
		if err != nil {
			p.code = c.ProcessState.ExitCode()
			break
		}
	}
	if text, err := os.ReadFile(file("summary")); err == nil {
		p.summary = string(text)
	}
	for name, out := range r.action.Outputs {
		p.outputs[name] = r.fill(out.Value, values)
	}
	return p
}

func (r *runner) root() string {
	root, err := filepath.Abs("../..")
	if err != nil {
		r.t.Fatal(err)
	}
	return root
}

func (r *runner) read(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

func (r *runner) write(path, text string) {
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

var (
	expression = regexp.MustCompile(`\$\{\{\s*(.*?)\s*\}\}`)
	comparison = regexp.MustCompile(`^([a-z_.-]+) (==|!=) '([a-z]*)'$`)
	valueName  = regexp.MustCompile(`^(inputs|github|steps\.[a-z]+\.outputs)\.[a-z_-]+$`)
)

// fill replaces the expressions in a text.
func (r *runner) fill(text string, values map[string]string) string {
	return expression.ReplaceAllStringFunc(text, func(braced string) string {
		return r.value(expression.FindStringSubmatch(braced)[1], values)
	})
}

// value returns the value of a name. What a step did not write is empty, as on GitHub.
func (r *runner) value(name string, values map[string]string) string {
	if !valueName.MatchString(name) {
		r.t.Fatalf("%s is no name that this runner knows", name)
	}
	value, known := values[name]
	if !known && !strings.HasPrefix(name, "steps.") {
		r.t.Fatalf("there is no %s", name)
	}
	return value
}

// holds evaluates the condition of a step.
func (r *runner) holds(condition string, values map[string]string) bool {
	if condition == "" {
		return true
	}
	parts := comparison.FindStringSubmatch(condition)
	if parts == nil {
		r.t.Fatalf("%s is no condition that this runner knows", condition)
	}
	return (r.value(parts[1], values) == parts[3]) == (parts[2] == "==")
}
