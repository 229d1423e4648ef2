package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/profiles/script"
)

// job returns what 'kabench ci init' writes.
func job(t *testing.T, flag string) string {
	t.Helper()
	text, _ := says(t, exit.Done, "ci", "init", "bench/shop.yaml", flag, "-o", "-")
	return text
}

// The workflow for GitHub keeps GitHub's rules, and gives the action inputs that it has.
func TestWorkflowForGitHub(t *testing.T) {
	text := job(t, "--github")
	if !strings.Contains(text, `profile: "bench/shop.yaml"`) || !strings.Contains(text, "uses: kabench/kabench@") {
		t.Error(text)
	}
	lintWorkflow(t, regexp.MustCompile(`kabench/kabench@\S+`).ReplaceAllString(text, "./"))
}

// gitlab is the job for GitLab. A key that is not here is an error.
type gitlab struct {
	Kabench struct {
		Image, Timeout string
		Rules          []struct{ If string }
		Cache          struct {
			Key       string
			Unprotect bool
			Paths     []string
		}
		BeforeScript []string `yaml:"before_script"`
		Script       []string
		AfterScript  []string `yaml:"after_script"`
		Artifacts    struct {
			When    string
			Paths   []string
			Reports struct{ JUnit string }
		}
	}
}

// What the job for GitLab has its shell do is done here: a job of the default branch fills the
// cache, and a job of another branch leaves it as it is.
func TestJobForGitLab(t *testing.T) {
	t.Parallel()
	var file gitlab
	if err := yaml.UnmarshalWithOptions([]byte(job(t, "--gitlab")), &file, yaml.Strict(), yaml.DisallowUnknownField()); err != nil {
		t.Fatal(err)
	}
	k := file.Kabench
	if k.Cache.Paths[0] != "kabench-baselines/" || k.Artifacts.Reports.JUnit != "kabench-ci/junit.xml" || k.Artifacts.When != "always" {
		t.Errorf("%+v", k)
	}
	all := slices.Concat(k.BeforeScript, k.Script, k.AfterScript)
	dir := playJobs(t, all, map[string][]string{"main": {"CI_COMMIT_BRANCH=main", "CI_DEFAULT_BRANCH=main"}, "other": {"CI_COMMIT_BRANCH=other", "CI_DEFAULT_BRANCH=main"}})
	if found, _ := filepath.Glob(filepath.Join(dir, k.Cache.Paths[0], "*", "run.json")); len(found) != 1 {
		t.Errorf("the cache has %q", found)
	}
}

// The Jenkinsfile is a pipeline whose quotes and braces are closed, and its shell does what it
// should.
func TestJobForJenkins(t *testing.T) {
	t.Parallel()
	text := regexp.MustCompile(`(?m)^\s*//.*$`).ReplaceAllString(job(t, "--jenkins"), "")
	bare := regexp.MustCompile(`'[^'\n]*'|"[^"\n]*"`).ReplaceAllString(text, "")
	depth := 0
	for _, c := range bare {
		switch c {
		case '{':
			depth++
		case '}':
			depth--
		}
		if depth < 0 {
			t.Fatal("a brace is closed that was not opened")
		}
	}
	if depth != 0 || strings.ContainsAny(bare, `'"`) {
		t.Errorf("a brace or a quote is not closed:\n%s", bare)
	}
	for _, section := range []string{"pipeline {", "agent any", "stages {", "post {", "junit 'kabench-ci/junit.xml'"} {
		if !strings.Contains(text, section) {
			t.Errorf("there is no %s", section)
		}
	}
	var all []string
	for _, found := range regexp.MustCompile(`(?m)^\s*sh '(.*)'$`).FindAllStringSubmatch(text, -1) {
		all = append(all, found[1])
	}
	if len(all) != 6 {
		t.Fatalf("the steps are %q", all)
	}
	bin, store := t.TempDir(), filepath.Join(t.TempDir(), "store")
	playJobs(t, all, map[string][]string{"main": {"GOBIN=" + bin, "KABENCH_STORE=" + store}})
	if found, _ := filepath.Glob(filepath.Join(store, "*", "run.json")); len(found) != 1 {
		t.Errorf("the store has %q", found)
	}
}

// playJobs runs the lines of a job in a shell, once for each environment, and checks what they
// leave behind. It returns the directory.
func playJobs(t *testing.T, lines []string, jobs map[string][]string) string {
	t.Helper()
	server, err := lab.Start(script.Server{Body: 10}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	r := newRunner(t, nil)
	if err := os.Mkdir(filepath.Join(r.workspace, "bench"), 0o755); err != nil {
		t.Fatal(err)
	}
	r.write(filepath.Join(r.workspace, "bench", "shop.yaml"), strings.Replace(actionProfile, "load:", "target: {url: "+server.URL()+"}\nload:", 1))
	for name, env := range jobs {
		os.RemoveAll(filepath.Join(r.workspace, "kabench-ci"))
		os.Remove(filepath.Join(r.bin, "kabench"))
		c := exec.Command("bash", "-e", "-c", strings.Join(lines, "\n"))
		c.Dir = r.workspace
		c.Env = append(append(os.Environ(), "PATH="+r.bin+":"+os.Getenv("PATH"), "GOBIN="+r.bin), env...)
		if text, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
		for _, left := range []string{"junit.xml", "report.html", "results/run.json"} {
			if _, err := os.Stat(filepath.Join(r.workspace, "kabench-ci", left)); err != nil {
				t.Error(err)
			}
		}
	}
	if r.built() != len(jobs) {
		t.Errorf("kabench was installed %d times for %d jobs", r.built(), len(jobs))
	}
	return r.workspace
}
