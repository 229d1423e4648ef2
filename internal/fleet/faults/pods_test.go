package faults

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// The pods of an Indexed Job are processes with its command, its environment and what it
// mounts. They are a fleet.
func TestPods(t *testing.T) {
	s := newSite(t, 0, 3, load{rate: 200, duration: 2 * time.Second, seed: 20})
	s.startBroker()
	printed := start(t, s.hub(), "manifest", "fleet", "manifest", "--agents", fmt.Sprint(s.n), "--image", "kabench:test", "--name", "pods",
		"--broker", s.url(), "--credentials", s.credentials, "--allow-target", s.allowed())
	if code := printed.wait(t, time.Minute); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	job, secret := objects(t, printed.stdout.String())
	if got := int(*job.Spec.Completions); got != s.n {
		t.Fatalf("%d pods, want %d", got, s.n)
	}
	for i := range s.n {
		s.startPod(i, job, secret)
	}
	if code := s.begin(true).wait(t, 2*time.Minute); code != 0 && code != 3 { // 3: a busy machine was late
		t.Errorf("exit code %d", code)
	}
	run := s.document()
	all := read(t, s.out)
	all.whole(t, len(s.schedule()))
	s.balances(run, all)
	if all.lost() > 0 {
		t.Errorf("%d exchanges were lost", all.lost())
	}
}

// objects are the Job and the Secret of a manifest.
func objects(t *testing.T, manifest string) (*batch.Job, *core.Secret) {
	t.Helper()
	job, secret := &batch.Job{}, &core.Secret{}
	for document := range strings.SplitSeq(manifest, "---\n") {
		var into any
		switch {
		case strings.Contains(document, "\nkind: Job\n"):
			into = job
		case strings.Contains(document, "\nkind: Secret\n"):
			into = secret
		default:
			continue
		}
		if err := yaml.UnmarshalStrict([]byte(document), into); err != nil {
			t.Fatal(err)
		}
	}
	return job, secret
}

// startPod starts a process as a node starts the pod's container with an index: variables in
// the arguments are replaced, and each volume is a directory of its own.
func (s *site) startPod(index int, job *batch.Job, secret *core.Secret) *process {
	s.t.Helper()
	pod := job.Spec.Template.Spec
	one := pod.Containers[0]
	if len(one.Command) != 1 || one.Command[0] != "kabench" {
		s.t.Fatalf("the command is %q", one.Command)
	}
	variables := []string{fmt.Sprintf("JOB_COMPLETION_INDEX=%d", index)}
	var replace []string
	for _, v := range pod.Volumes {
		dir := filepath.Join(s.dir, fmt.Sprintf("pod-%d-%s", index, v.Name))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			s.t.Fatal(err)
		}
		if v.Secret != nil {
			for _, item := range v.Secret.Items {
				if err := os.WriteFile(filepath.Join(dir, item.Path), secret.Data[item.Key], os.FileMode(*v.Secret.DefaultMode)); err != nil {
					s.t.Fatal(err)
				}
			}
		}
		for _, m := range one.VolumeMounts {
			if m.Name == v.Name {
				replace = append(replace, m.MountPath, dir)
			}
		}
	}
	mounted := strings.NewReplacer(replace...)
	for _, e := range one.Env {
		if e.ValueFrom != nil {
			s.t.Fatalf("%s comes from elsewhere", e.Name)
		}
		variables = append(variables, e.Name+"="+mounted.Replace(e.Value))
	}
	var expand []string
	for _, v := range variables {
		name, value, _ := strings.Cut(v, "=")
		expand = append(expand, "$("+name+")", value)
	}
	variable := strings.NewReplacer(expand...)
	var args []string
	for _, a := range one.Args {
		args = append(args, mounted.Replace(variable.Replace(a)))
	}
	cmd := exec.Command(program(s.t), args...)
	cmd.Env = variables // and nothing else, as in a container
	return begin(s.t, s.host(index), fmt.Sprintf("pod-%d", index), cmd)
}
