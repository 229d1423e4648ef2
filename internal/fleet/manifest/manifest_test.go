package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"
)

// objectsOf are the objects of a manifest, decoded strictly into Kubernetes' own types: a
// field that Kubernetes does not have is an error.
type objectsOf struct {
	secret  *core.Secret
	service *core.Service
	jobs    map[string]*batch.Job
}

func decoded(t *testing.T, c Config) (o objectsOf, text string) {
	t.Helper()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := Write(&b, c); err != nil {
		t.Fatal(err)
	}
	o.jobs = map[string]*batch.Job{}
	strict := func(document string, into any) {
		t.Helper()
		if err := yaml.UnmarshalStrict([]byte(document), into); err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
	}
	parts := strings.Split(b.String(), "---\n")
	for line := range strings.Lines(parts[0]) {
		if !strings.HasPrefix(line, "#") {
			t.Errorf("not a comment: %q", line)
		}
	}
	for _, document := range parts[1:] {
		var kind struct{ Kind string }
		if err := yaml.Unmarshal([]byte(document), &kind); err != nil {
			t.Fatal(err)
		}
		switch kind.Kind {
		case "Secret":
			o.secret = &core.Secret{}
			strict(document, o.secret)
		case "Service":
			o.service = &core.Service{}
			strict(document, o.service)
		case "Job":
			job := &batch.Job{}
			strict(document, job)
			o.jobs[job.Name] = job
		default:
			t.Errorf("an object of the kind %q", kind.Kind)
		}
	}
	return o, b.String()
}

// The manifest decodes strictly, and has what an Indexed Job of agents needs.
func TestManifest(t *testing.T) {
	o, text := decoded(t, Config{Agents: 20, Image: "registry.example.com/kabench:v1", Namespace: "load", Name: "shop", AllowTargets: []string{"web.shop.svc:8080", "*.example.com"}})
	if o.secret == nil || o.service == nil || len(o.jobs) != 1 {
		t.Fatalf("%+v", o)
	}
	job := o.jobs["shop-agents"]
	if job == nil || job.APIVersion != "batch/v1" || job.Namespace != "load" {
		t.Fatalf("%v", o.jobs)
	}
	spec := job.Spec
	if *spec.CompletionMode != batch.IndexedCompletion || *spec.Completions != 20 || *spec.Parallelism != 20 || *spec.BackoffLimitPerIndex != restarts || spec.BackoffLimit != nil {
		t.Errorf("%+v", spec)
	}
	pod := spec.Template.Spec
	if pod.RestartPolicy != core.RestartPolicyNever { // else neither a limit per index nor a failure policy is allowed
		t.Error(pod.RestartPolicy)
	}
	for _, rule := range spec.PodFailurePolicy.Rules {
		if (rule.OnExitCodes == nil) == (len(rule.OnPodConditions) == 0) {
			t.Errorf("a rule has either exit codes or conditions: %+v", rule)
		}
		if e := rule.OnExitCodes; e != nil && (*e.ContainerName != pod.Containers[0].Name || slices.Contains(e.Values, 0)) {
			t.Errorf("%+v", rule)
		}
	}
	if spread := pod.TopologySpreadConstraints; len(spread) != 1 || spread[0].TopologyKey != core.LabelHostname {
		t.Errorf("%+v", spread)
	} else {
		for key, value := range spread[0].LabelSelector.MatchLabels {
			if spec.Template.Labels[key] != value {
				t.Errorf("the pods are spread by %s=%s, and have %v", key, value, spec.Template.Labels)
			}
		}
	}
	privileges(t, pod)
	one := pod.Containers[0]
	want := []string{"agent", "--name=agent-$(JOB_COMPLETION_INDEX)", "--dir=/work/agent", "--join=tls://shop.load.svc:4222",
		"--credentials=/etc/kabench/agent.cred", "--allow-target=web.shop.svc:8080", "--allow-target=*.example.com"}
	if !slices.Equal(one.Args, want) {
		t.Errorf("%q", one.Args)
	}
	if cpu := one.Resources.Limits.Cpu(); !cpu.IsZero() {
		t.Errorf("a limit of CPU (%v) makes an agent late", cpu)
	}
	if v := volumeOf(t, pod, "work"); v.EmptyDir == nil {
		t.Errorf("%+v", v)
	}
	if v := volumeOf(t, pod, "credentials"); v.Secret == nil || v.Secret.SecretName != o.secret.Name || v.Secret.Items[0].Key != "agent.cred" {
		t.Errorf("%+v", v)
	}
	if held := o.secret.StringData["agent.cred"]; !strings.Contains(held, "kabench fleet credentials DIR --host shop.load.svc") || len(o.secret.Data) != 0 {
		t.Errorf("%q %q", held, o.secret.Data)
	}
	if o.service.Spec.ClusterIP != core.ClusterIPNone || o.service.Spec.Ports[0].Port != 4222 || o.service.Name != "shop" {
		t.Errorf("%+v", o.service)
	}
	if !strings.Contains(text, "app.kubernetes.io/component=controller") {
		t.Errorf("it does not say how the controller runs:\n%s", text)
	}
	for key, value := range o.service.Spec.Selector {
		if !strings.Contains(text, key+"="+value) {
			t.Errorf("the controller's pod lacks the label %s=%s", key, value)
		}
	}
}

// privileges checks that a pod is allowed where Kubernetes' strictest standard is enforced
// (https://kubernetes.io/docs/concepts/security/pod-security-standards/: Restricted).
func privileges(t *testing.T, pod core.PodSpec) {
	t.Helper()
	s := pod.SecurityContext
	if !*s.RunAsNonRoot || *s.RunAsUser == 0 || s.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault || *pod.AutomountServiceAccountToken || pod.HostNetwork || pod.HostPID {
		t.Errorf("%+v", s)
	}
	for _, one := range pod.Containers {
		s := one.SecurityContext
		if *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || len(s.Capabilities.Drop) != 1 || s.Capabilities.Drop[0] != "ALL" || s.Privileged != nil {
			t.Errorf("%s: %+v", one.Name, s)
		}
	}
}

func volumeOf(t *testing.T, pod core.PodSpec, name string) core.Volume {
	t.Helper()
	mounted := slices.ContainsFunc(pod.Containers[0].VolumeMounts, func(m core.VolumeMount) bool { return m.Name == name })
	i := slices.IndexFunc(pod.Volumes, func(v core.Volume) bool { return v.Name == name })
	if i < 0 || !mounted {
		t.Fatalf("no volume %s, or it is not mounted", name)
	}
	return pod.Volumes[i]
}

// Agents get only their own credentials, and a controller in the cluster only its own.
func TestCredentials(t *testing.T) {
	o, text := decoded(t, Config{Agents: 2, Image: "kabench", AgentCredentials: []byte("agent's\x00"), ControllerCredentials: []byte("controller's"),
		Controller: []string{"steady", "--rate", "20000/s"}, Claim: "results"})
	if string(o.secret.Data["agent.cred"]) != "agent's\x00" || string(o.secret.Data["controller.cred"]) != "controller's" || len(o.secret.StringData) != 0 {
		t.Errorf("%q", o.secret.Data)
	}
	for _, key := range []string{"agent", "controller"} {
		job := o.jobs["kabench-"+key+map[string]string{"agent": "s"}[key]]
		if job == nil {
			t.Fatalf("no Job of the %s: %v", key, o.jobs)
		}
		pod := job.Spec.Template.Spec
		privileges(t, pod)
		if items := volumeOf(t, pod, "credentials").Secret.Items; len(items) != 1 || items[0].Key != key+".cred" {
			t.Errorf("the %s gets %v", key, items)
		}
	}
	if args := o.jobs["kabench-agents"].Spec.Template.Spec.Containers[0].Args; !slices.Contains(args, "--once") {
		t.Errorf("the agents never end: %q", args)
	}
	controller := o.jobs["kabench-controller"]
	want := []string{"run", "steady", "--rate", "20000/s", "--agents=2", "--out=/work/results", "--listen=:4222", "--credentials=/etc/kabench/controller.cred"}
	if got := controller.Spec.Template.Spec.Containers[0].Args; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if v := volumeOf(t, controller.Spec.Template.Spec, "work"); v.PersistentVolumeClaim == nil || v.PersistentVolumeClaim.ClaimName != "results" {
		t.Errorf("%+v", v)
	}
	for key, value := range o.service.Spec.Selector {
		if controller.Spec.Template.Labels[key] != value {
			t.Errorf("the Service selects %s=%s, and the controller has %v", key, value, controller.Spec.Template.Labels)
		}
	}
	if strings.Contains(text, "kubectl exec") {
		t.Errorf("the controller is a Job, and the text starts another:\n%s", text)
	}
}

// A broker that runs already needs no Service. A URL with a password stands in the Secret
// only.
func TestBroker(t *testing.T) {
	o, text := decoded(t, Config{Agents: 3, Image: "kabench", Broker: "tls://load:hunter2@nats.example.com:4222", Controller: []string{"steady"}})
	if o.service != nil {
		t.Errorf("%+v", o.service)
	}
	if o.secret.StringData["broker-url"] != "tls://load:hunter2@nats.example.com:4222" || strings.Count(text, "hunter2") != 1 {
		t.Errorf("%s", text)
	}
	for name, job := range o.jobs {
		one := job.Spec.Template.Spec.Containers[0]
		joins := slices.ContainsFunc(one.Args, func(a string) bool { return strings.HasSuffix(a, "=$(KABENCH_BROKER)") })
		known := slices.ContainsFunc(one.Env, func(e core.EnvVar) bool {
			return e.Name == "KABENCH_BROKER" && e.ValueFrom.SecretKeyRef.Key == "broker-url" && e.ValueFrom.SecretKeyRef.Name == o.secret.Name
		})
		if !joins || !known {
			t.Errorf("%s: %q %v", name, one.Args, one.Env)
		}
	}
	for name, job := range o.jobs {
		if slices.ContainsFunc(job.Spec.Template.Spec.Volumes, func(v core.Volume) bool { return v.Secret != nil }) {
			t.Errorf("%s mounts credentials, and the URL has a password", name)
		}
	}
	o, _ = decoded(t, Config{Agents: 3, Image: "kabench", Broker: "nats://nats:4222"})
	one := o.jobs["kabench-agents"].Spec.Template.Spec.Containers[0]
	if !slices.Contains(one.Args, "--join=nats://nats:4222") || !slices.Contains(one.Args, "--credentials=/etc/kabench/agent.cred") || o.secret.StringData["agent.cred"] == "" {
		t.Errorf("%q %v", one.Args, o.secret)
	}
}

// The same objects are a List in JSON.
func TestJSON(t *testing.T) {
	var b bytes.Buffer
	if err := WriteJSON(&b, Config{Agents: 2, Image: "kabench"}); err != nil {
		t.Fatal(err)
	}
	var list core.List
	if err := yaml.UnmarshalStrict(b.Bytes(), &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Items) != 3 || list.Kind != "List" {
		t.Fatalf("%s", b.String())
	}
	var job batch.Job
	if err := json.Unmarshal(list.Items[2].Raw, &job); err != nil || job.Name != "kabench-agents" {
		t.Errorf("%v %s", err, list.Items[2].Raw)
	}
}

// Words that YAML reads as something else stay the texts they are.
func TestTextsStayTexts(t *testing.T) {
	o, _ := decoded(t, Config{Agents: 1, Image: "1e3", Name: "no", Namespace: "123", AllowTargets: []string{"true"}})
	if job := o.jobs["no-agents"]; job == nil || job.Namespace != "123" || job.Spec.Template.Spec.Containers[0].Image != "1e3" {
		t.Errorf("%v", o.jobs)
	}
}

// What is wrong is said in one sentence that names the flag.
func TestBadInput(t *testing.T) {
	good := Config{Agents: 20, Image: "kabench"}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(*Config){
		"--image is missing":     func(c *Config) { c.Image = "" },
		"--image \"a b\"":        func(c *Config) { c.Image = "a b" },
		"--agents 0: name":       func(c *Config) { c.Agents = 0 },
		"--agents -1: name":      func(c *Config) { c.Agents = -1 },
		"--agents 1001":          func(c *Config) { c.Agents = 1001 },
		"--name \"Shop\"":        func(c *Config) { c.Name = "Shop" },
		"--name \"-shop\"":       func(c *Config) { c.Name = "-shop" },
		"--name \"a.b\"":         func(c *Config) { c.Name = "a.b" },
		"of at most":             func(c *Config) { c.Name = strings.Repeat("a", mostName+1) },
		"--namespace \"a_b\"":    func(c *Config) { c.Namespace = "a_b" },
		"--cpu \"many\"":         func(c *Config) { c.CPU = "many" },
		"--cpu \"0.0\"":          func(c *Config) { c.CPU = "0.0" },
		"--memory \"1 GB\"":      func(c *Config) { c.Memory = "1 GB" },
		"--allow-target \"http:": func(c *Config) { c.AllowTargets = []string{"http://web/"} },
		"--broker is not":        func(c *Config) { c.Broker = "http://nats:4222" },
		"--claim keeps":          func(c *Config) { c.Claim = "results" },
	} {
		c := good
		spoil(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("want one sentence with %q, got %v", want, err)
		}
	}
}

// Names and amounts are what Kubernetes takes.
func TestKubernetesTakesWhatWeTake(t *testing.T) {
	longest := strings.Repeat("a", mostName)
	for _, end := range []string{fmt.Sprintf("-agents-%d", MostAgents-1), "-controller"} {
		if problems := validation.IsDNS1123Label(longest + end); len(problems) > 0 {
			t.Error(problems)
		}
	}
	for _, text := range []string{"", "a", "-", "a-", "1", "a.b", "A", "a_b", "a--b", strings.Repeat("a", 64)} {
		c := Config{Agents: 1, Image: "kabench", Namespace: text}
		if ours, theirs := c.Validate() == nil, text == "" || len(validation.IsDNS1123Label(text)) == 0; ours != theirs {
			t.Errorf("%q: allowed %v, in Kubernetes %v", text, ours, theirs)
		}
	}
	for _, text := range []string{"1", "0.5", "500m", "64", "1.25", "512Mi", "2Gi", "1000000", "500M", "4G"} {
		asCPU, asMemory := Config{Agents: 1, Image: "kabench", CPU: text}.Validate(), Config{Agents: 1, Image: "kabench", Memory: text}.Validate()
		if amount, err := resource.ParseQuantity(text); asCPU != nil && asMemory != nil || err != nil || amount.Sign() <= 0 {
			t.Errorf("%s: as CPU %v, as memory %v; in Kubernetes %v", text, asCPU, asMemory, err)
		}
	}
}
