package manifest

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// The manifest of a watch decodes strictly into a DaemonSet, in which the pods see the
// processes of their node and have the rights of each layer.
func TestWatchManifest(t *testing.T) {
	w := Watch{Image: "registry.example.com/kabench:v1", Namespace: "load", Args: []string{"--pod", "shop-0", "--until", "failures > 0"}}
	if err := w.Validate(); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := WriteWatch(&b, w); err != nil {
		t.Fatal(err)
	}
	comment, document, _ := strings.Cut(b.String(), "---\n")
	for line := range strings.Lines(comment) {
		if !strings.HasPrefix(line, "#") {
			t.Errorf("not a comment: %q", line)
		}
	}
	var d apps.DaemonSet
	if err := yaml.UnmarshalStrict([]byte(document), &d); err != nil {
		t.Fatalf("%v in\n%s", err, document)
	}
	pod := d.Spec.Template.Spec
	one := pod.Containers[0]
	if d.Kind != "DaemonSet" || d.Namespace != "load" || d.Name != "kabench-watch" || !pod.HostPID || len(pod.Containers) != 1 {
		t.Errorf("%+v", d)
	}
	for key, want := range d.Spec.Selector.MatchLabels {
		if d.Spec.Template.Labels[key] != want {
			t.Errorf("the selector wants %s=%s, and the pods have %v", key, want, d.Spec.Template.Labels)
		}
	}
	if !slices.Contains(one.Args, "--wait") || !slices.Contains(one.Args, "failures > 0") || one.Args[0] != "watch" {
		t.Errorf("%q", one.Args)
	}
	for _, right := range []string{"BPF", "PERFMON", "NET_RAW"} {
		if !slices.ContainsFunc(one.SecurityContext.Capabilities.Add, func(c core.Capability) bool { return string(c) == right }) {
			t.Errorf("%s is missing", right)
		}
	}
	if one.VolumeMounts[0].Name != pod.Volumes[0].Name || pod.Volumes[0].HostPath == nil {
		t.Errorf("%+v, %+v", one.VolumeMounts, pod.Volumes)
	}
	for _, wrong := range []Watch{{Args: w.Args}, {Image: "x"}, {Image: "x", Args: []string{"--pod=a", "--pid=3"}}, {Image: "x", Args: []string{"--pod", "a", "--out", "x"}}, {Image: "x", Name: "A", Args: w.Args}} {
		if wrong.Validate() == nil {
			t.Errorf("%+v is valid", wrong)
		}
	}
}
