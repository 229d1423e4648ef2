package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"text/template"

	"github.com/goccy/go-yaml"
	"github.com/rhysd/actionlint"

	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/profiles/script"
)

// The inputs of the action never become a part of a script: anyone who opens a pull request may
// choose them.
func TestActionHasNoInputsInScripts(t *testing.T) {
	a := readAction(t)
	if a.Runs.Using != "composite" || a.Name == "" || a.Description == "" {
		t.Errorf("%+v", a)
	}
	for name, in := range a.Inputs {
		if in.Description == "" {
			t.Errorf("the input %s has no description", name)
		}
	}
	for _, step := range a.Runs.Steps {
		if strings.Contains(step.Run, "${{") || (step.Run == "") == (step.Uses == "") || (step.Run != "") != (step.Shell == "bash") {
			t.Errorf("%+v", step)
		}
	}
}

// docs/ci.md has a row for each input of the action, with its default, and names each output.
func TestDocsOfTheAction(t *testing.T) {
	text, err := os.ReadFile("../../docs/ci.md")
	if err != nil {
		t.Fatal(err)
	}
	docs, a := string(text), readAction(t)
	rows := regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| .* \\| (.*) \\|$").FindAllStringSubmatch(docs, -1)
	if len(rows) != len(a.Inputs) {
		t.Errorf("%d rows for %d inputs", len(rows), len(a.Inputs))
	}
	for _, row := range rows {
		in, known := a.Inputs[row[1]]
		if want := "`" + in.Default + "`"; !known || in.Default != "" && row[2] != want || in.Default == "" && strings.Contains(row[2], "`") {
			t.Errorf("%s has the default %s, and the action has %q", row[1], row[2], in.Default)
		}
	}
	outputs, _, _ := strings.Cut(docs[strings.Index(docs, "Outputs are"):], "\n")
	for name := range a.Outputs {
		if !strings.Contains(outputs, "`"+name+"`") {
			t.Errorf("the output %s is not named", name)
		}
	}
	for line := range strings.Lines(docs) {
		command, is := strings.CutPrefix(line, "kabench ")
		if !is {
			continue
		}
		command, _, _ = strings.Cut(command, "#")
		found, rest, err := newRoot(io.Discard, io.Discard).Find(strings.Fields(command))
		if err == nil {
			err = found.ParseFlags(rest)
		}
		if err == nil {
			err = found.ValidateArgs(found.Flags().Args())
		}
		if err != nil {
			t.Errorf("kabench %s: %v", command, err)
		}
	}
}

// GitHub's own rules, as actionlint knows them, hold for a workflow that uses the action, and
// for the action.
func TestActionIsLinted(t *testing.T) {
	var workflow strings.Builder
	workflow.WriteString("on: push\njobs:\n  bench:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - id: bench\n        uses: ./\n        with:\n")
	a := readAction(t)
	for name := range a.Inputs {
		fmt.Fprintf(&workflow, "          %s: 'x'\n", name)
	}
	workflow.WriteString("      - run: echo done\n        env:\n")
	for name := range a.Outputs {
		fmt.Fprintf(&workflow, "          %s: ${{ steps.bench.outputs.%s }}\n", strings.ReplaceAll(name, "-", "_"), name)
	}
	lintWorkflow(t, workflow.String())
	if errs := lint(t, strings.Replace(workflow.String(), "profile:", "profil:", 1)); len(errs) == 0 {
		t.Error("an unknown input is not found, so the action was not read")
	}
}

func lint(t *testing.T, text string) []*actionlint.Error {
	t.Helper()
	l, err := actionlint.NewLinter(&bytes.Buffer{}, &actionlint.LinterOptions{Shellcheck: "", Pyflakes: ""})
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	project, err := actionlint.NewProject(root)
	if err != nil {
		t.Fatal(err)
	}
	errs, err := l.Lint("kabench.yml", []byte(text), project)
	if err != nil {
		t.Fatal(err)
	}
	return errs
}

func lintWorkflow(t *testing.T, text string) {
	t.Helper()
	for _, err := range lint(t, text) {
		t.Errorf("%v\n%s", err, text)
	}
}

// pulls is GitHub's API for the comments of one pull request.
type pulls struct {
	t        *testing.T
	status   int // if not 0, all that is answered
	mu       sync.Mutex
	comments []map[string]any
	wrote    []string // METHOD PATH of each change
}

func (g *pulls) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	const list, one = "/repos/acme/shop/issues/7/comments", "/repos/acme/shop/issues/comments/"
	var sent struct{ Body string }
	if r.Method != http.MethodGet {
		if err := json.NewDecoder(r.Body).Decode(&sent); err != nil || len(sent.Body) > 65536 {
			g.t.Errorf("%s of %d bytes, %v", r.Method, len(sent.Body), err)
		}
		g.wrote = append(g.wrote, r.Method+" "+r.URL.Path)
	}
	switch {
	case r.Header.Get("Authorization") != "Bearer t0p-secret":
		http.Error(w, "no", http.StatusUnauthorized)
	case g.status != 0:
		http.Error(w, "no", g.status)
	case r.Method == http.MethodGet && r.URL.Path == list:
		page, _ := strconv.Atoi(r.URL.Query().Get("page"))
		from := min((page-1)*100, len(g.comments))
		json.NewEncoder(w).Encode(append([]map[string]any{}, g.comments[from:min(from+100, len(g.comments))]...))
	case r.Method == http.MethodPost && r.URL.Path == list:
		g.comments = append(g.comments, map[string]any{"id": 1000 + len(g.comments), "body": sent.Body})
		w.WriteHeader(http.StatusCreated)
	case r.Method == http.MethodPatch && strings.HasPrefix(r.URL.Path, one):
		for _, c := range g.comments {
			if fmt.Sprint(c["id"]) == strings.TrimPrefix(r.URL.Path, one) {
				c["body"] = sent.Body
				return
			}
		}
		http.NotFound(w, r)
	default:
		http.NotFound(w, r)
	}
}

const actionProfile = `
name: shop
load: {rate: 300/s, duration: 500ms, max_lag: 0}
expect:
  counts.ok: "> 0"
  failures: not worse than baseline
`

// git runs git in dir.
func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	c := exec.Command("git", append([]string{"-c", "user.name=x", "-c", "user.email=x@localhost", "-C", dir}, args...)...)
	c.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
	text, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, text)
	}
	return string(text)
}

// cloned gives the runner a repository with the profile, and returns where it is pushed to.
func (r *runner) cloned() (origin string) {
	origin = filepath.Join(r.t.TempDir(), "origin.git")
	git(r.t, ".", "init", "--quiet", "--bare", origin)
	git(r.t, r.workspace, "init", "--quiet", "--initial-branch=main")
	git(r.t, r.workspace, "remote", "add", "origin", origin)
	r.write(filepath.Join(r.workspace, "bench.yaml"), actionProfile)
	git(r.t, r.workspace, "add", ".")
	git(r.t, r.workspace, "commit", "--quiet", "--message=first")
	git(r.t, r.workspace, "push", "--quiet", "origin", "main")
	return origin
}

// runsOn returns how many runs a branch of the store has.
func runsOn(t *testing.T, origin, branch string) int {
	return strings.Count(git(t, origin, "ls-tree", "-r", "--name-only", branch), "/run.json")
}

// Two pushes fill the store, which begins as a branch that does not exist. Jobs of a pull request
// are compared with it and write one comment, however often they run.
func TestActionOnAPullRequest(t *testing.T) {
	t.Parallel()
	server, err := lab.Start(script.Server{Body: 10}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	r := newRunner(t, readAction(t))
	origin := r.cloned()
	inputs := map[string]string{"profile": "bench.yaml", "arguments": "--target '" + server.URL() + "'", "baseline": "latest:5", "store-branch": "bench-store", "save": "true"}
	for i := range 2 {
		p := r.play(inputs)
		if p.code != 0 || !strings.Contains(p.summary, "No baseline yet") || runsOn(t, origin, "bench-store") != i+1 {
			t.Fatalf("push %d: exit code %d, %d runs\n%s\n%s", i, p.code, runsOn(t, origin, "bench-store"), p.log, p.summary)
		}
		git(t, r.workspace, "worktree", "remove", "--force", "kabench-baselines") // each job has a workspace of its own
	}
	if r.built() != 1 {
		t.Errorf("kabench was built %d times", r.built())
	}

	github := &pulls{t: t}
	for i := range 130 {
		github.comments = append(github.comments, map[string]any{"id": i, "body": "other"})
	}
	api := httptest.NewServer(github)
	defer api.Close()
	event := filepath.Join(t.TempDir(), "event.json")
	r.write(event, `{"pull_request": {"number": 7}}`)
	r.env["GITHUB_API_URL"], r.env["GITHUB_EVENT_PATH"] = api.URL, event
	inputs["save"], inputs["token"] = "false", "t0p-secret"
	for i, change := range []string{"POST /repos/acme/shop/issues/7/comments", "PATCH /repos/acme/shop/issues/comments/1130"} {
		p := r.play(inputs)
		if p.code != 0 || p.outputs["exit-code"] != "0" || strings.Contains(p.summary, "No baseline yet") || !strings.HasPrefix(p.summary, "## kabench: passed\n") {
			t.Fatalf("job %d: exit code %d\n%s\n%s", i, p.code, p.log, p.summary)
		}
		if len(github.wrote) != i+1 || github.wrote[i] != change {
			t.Errorf("job %d changed %q", i, github.wrote)
		}
		if strings.Contains(p.summary, server.URL()) || strings.Contains(p.log, "t0p-secret") {
			t.Error("the summary names the server, or the log the token")
		}
		var suites struct {
			Tests    int `xml:"tests,attr"`
			Failures int `xml:"failures,attr"`
		}
		if err := xml.Unmarshal([]byte(r.read(p.outputs["junit"])), &suites); err != nil || suites.Tests != 3 || suites.Failures != 0 {
			t.Errorf("JUnit has %+v, %v", suites, err)
		}
		if !strings.Contains(r.read(p.outputs["page"]), "<html") || r.read(p.outputs["markdown"]) != p.summary {
			t.Error("the page is no page, or the Markdown is not that of the summary")
		}
		if with := p.used["actions/upload-artifact@v4"]; with["path"] != p.outputs["directory"] || with["name"] != "kabench" {
			t.Errorf("the artefact is %v", with)
		}
		git(t, r.workspace, "worktree", "remove", "--force", "kabench-baselines")
	}
	last := github.comments[130]["body"].(string)
	if !strings.HasPrefix(last, "<!-- kabench: kabench -->\n## kabench: passed\n") || len(github.comments) != 131 {
		t.Errorf("the comment of %d is %s", len(github.comments), last)
	}
	if runsOn(t, origin, "bench-store") != 2 {
		t.Error("the job of a pull request was added to the store")
	}

	// A run that fails: its exit code is the job's, it is not saved, and a token that may not
	// write a comment changes nothing.
	github.status = http.StatusForbidden
	inputs["save"], inputs["arguments"] = "true", inputs["arguments"]+" --set expect.counts.ok=0"
	p := r.play(inputs)
	if p.code != 1 || p.outputs["exit-code"] != "1" || !strings.HasPrefix(p.summary, "## kabench: failed\n") || runsOn(t, origin, "bench-store") != 2 {
		t.Errorf("exit code %d\n%s\n%s", p.code, p.log, p.summary)
	}
	if !strings.Contains(p.log, "::warning title=kabench::the comments of the pull request cannot be read") || !strings.Contains(p.log, "::error title=kabench::failed") {
		t.Error(p.log)
	}
}

// A store in a directory needs no git. What is wrong with the inputs is said in one line, and
// nothing in the arguments is executed.
func TestActionInputs(t *testing.T) {
	t.Parallel()
	server, err := lab.Start(script.Server{Body: 10}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	r := newRunner(t, readAction(t))
	r.write(filepath.Join(r.workspace, "bench.yaml"), actionProfile)
	good := "--target " + server.URL()
	p := r.play(map[string]string{"profile": "bench.yaml", "arguments": good + "\n--set 'name=a $(touch bad) `touch bad` b'", "baseline": "latest:5", "store": "st ore", "save": "true", "summary": "false", "artifact": ""})
	if p.code != 0 || p.summary != "" || len(p.used) != 1 {
		t.Errorf("exit code %d, %v\n%s", p.code, p.used, p.log)
	}
	if found, err := filepath.Glob(filepath.Join(r.workspace, "st ore", "*", "run.json")); err != nil || len(found) != 1 {
		t.Errorf("the store has %q, %v", found, err)
	}
	if _, err := os.Stat(filepath.Join(r.workspace, "bad")); err == nil {
		t.Error("an argument was executed")
	}
	first, last := strings.Index(p.log, "::stop-commands::"), strings.Index(p.log, "a $(touch bad)")
	if first < 0 || last < first {
		t.Errorf("the runner would take what kabench prints for commands\n%s", p.log)
	}
	for want, inputs := range map[string]map[string]string{
		"::error title=kabench::command: want run, compare or reproduce, not \"rm\"":        {"command": "rm"},
		"::error title=kabench::arguments: a quote is not closed: --target 'http":           {"arguments": "--target 'http"},
		"a quote is not closed: '100%25%0A::warning::x":                                     {"arguments": "'100%\n::warning::x"},
		"::error title=kabench::baseline: only the command run compares with a baseline":    {"command": "compare", "baseline": "latest:5"},
		"::error title=kabench::store: . exists already":                                    {"baseline": "latest:5", "store": ".", "store-branch": "x"},
		"::error title=kabench::store-branch: the job has no repository":                    {"baseline": "latest:5", "store-branch": "x"},
		"kabench: nothere.yaml: there is no such file or directory":                         {"profile": "nothere.yaml"},
		"kabench: --baseline latest:x: want latest:N with N from 2 to 100, such as latest:": {"profile": "bench.yaml", "arguments": good, "baseline": "latest:x"},
	} {
		if p := r.play(inputs); p.code != 2 || !strings.Contains(p.log, want) {
			t.Errorf("%v: exit code %d, want 2 and %s\n%s", inputs, p.code, want, p.log)
		}
	}
	if text, code := bashed(r, "nonsense"); code != 2 || !strings.Contains(text, "usage: .ci/action") {
		t.Errorf("exit code %d: %s", code, text)
	}
}

// bashed calls the script with a step that the action does not have.
func bashed(r *runner, step string) (string, int) {
	c := exec.Command(filepath.Join(r.root(), ".ci", "action"), step)
	text, _ := c.CombinedOutput() // the exit code says it
	return string(text), c.ProcessState.ExitCode()
}

// The action looks for the archive and the checksums by the names that a release gives them.
func TestActionKnowsTheNamesOfReleases(t *testing.T) {
	text, err := os.ReadFile("../../.goreleaser.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var release struct {
		ProjectName string `yaml:"project_name"`
		Builds      []struct{ Binary string }
		Archives    []struct {
			Formats      []string
			NameTemplate string `yaml:"name_template"`
			Wrapped      any    `yaml:"wrap_in_directory"`
		}
		Checksum struct {
			NameTemplate string `yaml:"name_template"`
			Algorithm    string
		}
		Release struct{ GitHub struct{ Owner, Name string } }
	}
	if err := yaml.Unmarshal(text, &release); err != nil {
		t.Fatal(err)
	}
	if len(release.Archives) != 1 || len(release.Builds) != 1 {
		t.Fatalf("%+v", release)
	}
	archive := release.Archives[0]
	name, err := template.New("").Parse(archive.NameTemplate)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := name.Execute(&b, map[string]string{"Version": "${VERSION#v}", "Os": "${system}", "Arch": "$machine"}); err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile("../../.ci/action")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"archive=" + b.String() + "." + strings.Join(archive.Formats, ",") + "\n", "$from/" + release.Checksum.NameTemplate + "\"", "-C \"$DIRECTORY\" " + release.ProjectName + "\n",
		"/" + release.Release.GitHub.Owner + "/" + release.Release.GitHub.Name + "/releases/download/$VERSION", "shasum -a " + strings.TrimPrefix(release.Checksum.Algorithm, "sha"),
	} {
		if !strings.Contains(string(script), want) {
			t.Errorf(".ci/action has no %q", want)
		}
	}
	if release.Builds[0].Binary != "" || archive.Wrapped != nil {
		t.Error("the binary has another name or place in the archive than the action expects")
	}
}

// A version comes from its release, if there is one for the system, or is built; a cached one
// is not built again. A release with a wrong checksum is refused.
func TestActionInstalls(t *testing.T) {
	t.Parallel()
	r := newRunner(t, readAction(t))
	kabench, err := exec.LookPath("kabench")
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	zipped := gzip.NewWriter(&archive)
	tarred := tar.NewWriter(zipped)
	text := fmt.Sprintf("#!/bin/sh\nexec %s \"$@\"\n", kabench)
	if err := tarred.WriteHeader(&tar.Header{Name: "kabench", Mode: 0o755, Size: int64(len(text))}); err != nil {
		t.Fatal(err)
	}
	tarred.Write([]byte(text))
	tarred.Close()
	zipped.Close()
	sums := map[string]string{"v1.2.3": fmt.Sprintf("%x", sha256.Sum256(archive.Bytes())), "v1.2.4": strings.Repeat("0", 64)}
	releases := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		version, file, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/kabench/kabench/releases/download/"), "/")
		name := "kabench_" + strings.TrimPrefix(version, "v") + "_linux_amd64.tar.gz"
		switch sum := sums[version]; {
		case sum == "":
			http.NotFound(w, req)
		case file == "checksums.txt":
			fmt.Fprintf(w, "%s  other.tar.gz\n%s  %s\n", strings.Repeat("1", 64), sum, name)
		case file == name:
			w.Write(archive.Bytes())
		default:
			http.NotFound(w, req)
		}
	}))
	defer releases.Close()
	r.env["GITHUB_SERVER_URL"] = releases.URL
	installs := func(version string) *played {
		// Without a target the run is refused, after kabench was installed.
		return r.play(map[string]string{"version": version, "arguments": "--rate 1/s"})
	}
	if p := installs("v1.2.3"); !strings.Contains(p.log, "kabench v1.2.3 comes from its release") || r.built() != 0 {
		t.Errorf("a release: %s", p.log)
	}
	if p := installs("v1.2.3"); !strings.Contains(p.log, "kabench comes from the cache") {
		t.Errorf("a cached release: %s", p.log)
	}
	if p := installs("v1.2.4"); p.code != 2 || !strings.Contains(p.log, "::error title=kabench::kabench_1.2.4_linux_amd64.tar.gz of v1.2.4 does not have the checksum") {
		t.Errorf("a wrong checksum: exit code %d\n%s", p.code, p.log)
	}
	for _, version := range []string{"v0.0.9", "main", ""} {
		p := installs(version)
		key := p.used["actions/cache@v4"]["key"]
		if !strings.HasPrefix(key, "kabench-Linux-X64-"+version) {
			t.Errorf("%q: the key is %s", version, key)
		}
	}
	want := "install github.com/kabench/kabench/cmd/kabench@v0.0.9\ninstall github.com/kabench/kabench/cmd/kabench@main\nbuild -o "
	if got := r.read(r.goLog()); !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "/ ./cmd/kabench\n") {
		t.Errorf("go was called with\n%s", got)
	}
}
