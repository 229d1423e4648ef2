package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// Watch says what is written for 'kabench watch' on each node of a cluster. Image and Args are
// required; an empty field has the default of Config.
type Watch struct {
	Image, Namespace, Name, CPU, Memory string
	Args                                []string // of 'kabench watch'
}

// The limits of a watch: 2 % of a core is what it takes at 2,000 closes a second.
const (
	watchCPU    = "50m"
	watchMemory = "256Mi"
	// dirNode is where the results are, on the node: they outlive the pod.
	dirNode = "/var/lib/kabench-watch"
)

// Validate returns all that is wrong with w, one sentence a line.
func (w Watch) Validate() error {
	var all []error
	w = w.withDefaults()
	err := Config{Agents: 1, Image: w.Image, Namespace: w.Namespace, Name: w.Name, CPU: w.CPU, Memory: w.Memory}.Validate()
	all = append(all, err)
	has := func(flag string) bool {
		return slices.ContainsFunc(w.Args, func(arg string) bool { return arg == flag || strings.HasPrefix(arg, flag+"=") })
	}
	if !has("--pod") && !has("--target") && !has("--listen") {
		all = append(all, errors.New("say after -- what is watched, for example -- --pod shop-0 --until 'failures > 0'"))
	}
	for _, flag := range []string{"--pid", "--out"} {
		if has(flag) {
			all = append(all, fmt.Errorf("%s after -- does not fit: a pod is named by --pod, and its results are on the node in %s", flag, dirNode))
		}
	}
	return errors.Join(all...)
}

func (w Watch) withDefaults() Watch {
	for field, or := range map[*string]string{&w.Name: DefaultName + "-watch", &w.CPU: watchCPU, &w.Memory: watchMemory} {
		if *field == "" {
			*field = or
		}
	}
	return w
}

// object is a DaemonSet: one pod on each node, which sees the processes of the node. What it
// may is what the layers need: to read /proc of other users and to enter their network
// namespaces, tracepoints, and headers of packets.
func (w Watch) object() object {
	c := Config{Image: w.Image, Namespace: w.Namespace, Name: w.Name}
	o := c.object("apps/v1", "DaemonSet", w.Name)
	args := append([]string{"watch", "--wait", "--out=" + dirWork + "/$(NODE)-$(POD)"}, w.Args...)
	o.Spec = daemonSpec{
		Selector: selector{c.labels("watch")},
		Template: daemonTemplate{
			Metadata: metadata{Labels: c.labels("watch")},
			Spec: daemonPod{
				HostPID: true, TerminationGracePeriodSeconds: 60,
				Tolerations: []toleration{{Operator: "Exists"}},
				Containers: []daemonContainer{{
					Name: "watch", Image: w.Image, Command: []string{"kabench"}, Args: args,
					Env: []fieldVariable{
						{"NODE", fieldSource{fieldRef{"spec.nodeName"}}}, {"POD", fieldSource{fieldRef{"metadata.uid"}}},
					},
					Resources: resources{Requests: map[string]string{"cpu": w.CPU, "memory": w.Memory}, Limits: map[string]string{"memory": w.Memory}},
					SecurityContext: rootSecurity{
						ReadOnlyRootFilesystem: true,
						Capabilities: gainedCapabilities{
							Add: []string{"BPF", "PERFMON", "NET_RAW", "SYS_ADMIN", "SYS_PTRACE", "DAC_READ_SEARCH"}, Drop: []string{"ALL"},
						},
					},
					VolumeMounts: []mount{{Name: "results", MountPath: dirWork}},
				}},
				Volumes: []hostVolume{{Name: "results", HostPath: hostPath{dirNode, "DirectoryOrCreate"}}},
			},
		},
	}
	return o
}

// WriteWatch writes the manifest of w, which must be valid, as YAML with a comment that says
// how it is used.
func WriteWatch(out io.Writer, w Watch) error {
	w = w.withDefaults()
	one, err := yaml.Marshal(w.object())
	if err != nil {
		return err
	}
	in := ""
	if w.Namespace != "" {
		in = " --namespace " + w.Namespace
	}
	_, err = fmt.Fprintf(out, `# 'kabench watch' on each node of a cluster, as a DaemonSet. Save this as watch.yaml, then:
#   kubectl apply%[1]s -f watch.yaml
#   kubectl logs%[1]s -f daemonset/%[2]s --all-pods
# The watch begins where the service is; elsewhere it waits. It reads no payload, and changes
# nothing. Its results are on the node in %[3]s. It runs as root, with the rights that its
# layers need, and sees all processes of the node: delete it when you have seen enough.
#   kubectl delete%[1]s -f watch.yaml
---
%[4]s`, in, w.Name, dirNode, one)
	return err
}

// WriteWatchJSON writes the same object in JSON.
func WriteWatchJSON(out io.Writer, w Watch) error {
	return json.NewEncoder(out).Encode(w.withDefaults().object())
}

// The objects of Kubernetes' API that only a watch has.
type (
	daemonSpec struct {
		Selector selector       `json:"selector"`
		Template daemonTemplate `json:"template"`
	}
	daemonTemplate struct {
		Metadata metadata  `json:"metadata"`
		Spec     daemonPod `json:"spec"`
	}
	daemonPod struct {
		HostPID                       bool              `json:"hostPID"`
		AutomountServiceAccountToken  bool              `json:"automountServiceAccountToken"`
		TerminationGracePeriodSeconds int               `json:"terminationGracePeriodSeconds"`
		Tolerations                   []toleration      `json:"tolerations"`
		Containers                    []daemonContainer `json:"containers"`
		Volumes                       []hostVolume      `json:"volumes"`
	}
	toleration struct {
		Operator string `json:"operator"`
	}
	daemonContainer struct {
		Name            string          `json:"name"`
		Image           string          `json:"image"`
		Command         []string        `json:"command"`
		Args            []string        `json:"args"`
		Env             []fieldVariable `json:"env"`
		Resources       resources       `json:"resources"`
		SecurityContext rootSecurity    `json:"securityContext"`
		VolumeMounts    []mount         `json:"volumeMounts"`
	}
	fieldVariable struct {
		Name      string      `json:"name"`
		ValueFrom fieldSource `json:"valueFrom"`
	}
	fieldSource struct {
		FieldRef fieldRef `json:"fieldRef"`
	}
	fieldRef struct {
		FieldPath string `json:"fieldPath"`
	}
	rootSecurity struct {
		RunAsUser                int                `json:"runAsUser"`
		AllowPrivilegeEscalation bool               `json:"allowPrivilegeEscalation"`
		ReadOnlyRootFilesystem   bool               `json:"readOnlyRootFilesystem"`
		Capabilities             gainedCapabilities `json:"capabilities"`
	}
	gainedCapabilities struct {
		Add  []string `json:"add"`
		Drop []string `json:"drop"`
	}
	hostVolume struct {
		Name     string   `json:"name"`
		HostPath hostPath `json:"hostPath"`
	}
	hostPath struct {
		Path string `json:"path"`
		Type string `json:"type"`
	}
)
