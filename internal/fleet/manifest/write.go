package manifest

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"sigs.k8s.io/yaml"
)

// Write writes the manifest of c, which must be valid, as YAML with a comment that says how
// it is used.
func Write(w io.Writer, c Config) error {
	c = c.withDefaults()
	var text strings.Builder
	for line := range strings.Lines(c.instructions()) {
		text.WriteString(strings.TrimRight("# "+strings.TrimSuffix(line, "\n"), " ") + "\n")
	}
	for _, o := range c.objects() {
		one, err := yaml.Marshal(o)
		if err != nil {
			return err
		}
		text.WriteString("---\n")
		text.Write(one)
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// WriteJSON writes the same objects as one List, in JSON.
func WriteJSON(w io.Writer, c Config) error {
	return json.NewEncoder(w).Encode(map[string]any{"apiVersion": "v1", "kind": "List", "items": c.withDefaults().objects()})
}

// instructions say how the manifest is used, and how the controller of the fleet runs.
func (c Config) instructions() string {
	in := ""
	if c.Namespace != "" {
		in = " --namespace " + c.Namespace
	}
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	say("The agents of a kabench fleet: %d pods of an Indexed Job, one agent each.", c.Agents)
	say("Save this as fleet.yaml, then: kubectl apply%s -f fleet.yaml", in)
	say("")
	switch {
	case len(c.Controller) > 0 && c.Claim != "":
		say("The controller is the Job %s-controller. Its results are in the claim %s, directory results.", c.Name, c.Claim)
	case len(c.Controller) > 0:
		say("The controller is the Job %s-controller. Its report: kubectl logs%s -f job/%s-controller", c.Name, in, c.Name)
		say("Its results end with its pod; to keep them, print the manifest again with --claim CLAIM.")
	case c.Broker != "":
		say("The controller runs wherever it reaches the broker:")
		say("  kabench run PROFILE --agents %d --broker URL", c.Agents)
	default:
		say("The controller is a pod that the Service %s selects, with the broker inside.", c.Name)
		say("If the image has sleep and tar:")
		say("  kubectl run%s %s-controller --image %s --restart Never --port %d \\", in, c.Name, c.Image, Port)
		say("    --labels %s \\", selectorText(c.labels("controller")))
		say("    --command -- sleep infinity")
		say("  kubectl cp%s CREDENTIALS/controller.cred %s-controller:/tmp/controller.cred", in, c.Name)
		say("  kubectl exec%s -it %s-controller -- kabench run PROFILE --agents %d --listen :%d \\", in, c.Name, c.Agents, Port)
		say("    --credentials /tmp/controller.cred --out /tmp/results")
		say("  kubectl cp%s %s-controller:/tmp/results results", in, c.Name)
		say("Or print this again with '-- PROFILE FLAGS' at the end, and the controller is a Job too.")
		say("A controller outside of the cluster needs a broker inside it: --broker URL.")
	}
	if !c.Once && len(c.Controller) == 0 {
		say("\nAgents wait for further runs until you delete them: kubectl delete%s -f fleet.yaml", in)
	}
	say("\nIt needs Kubernetes 1.29 or later. A pod that ends during a run takes its records with it, and")
	say("those of its requests that the controller does not have yet are counted as dropped, agent_lost.")
	return b.String()
}

func selectorText(labels map[string]string) string {
	var list []string
	for _, key := range []string{"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component"} {
		list = append(list, key+"="+labels[key])
	}
	return strings.Join(list, ",")
}
