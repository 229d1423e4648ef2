package manifest

import (
	"fmt"
	"strconv"
)

// Where things are in a pod.
const (
	dirWork    = "/work" // an emptyDir, or the controller's claim
	dirSecrets = "/etc/kabench"

	keyAgent      = "agent.cred"
	keyController = "controller.cred"
	keyBroker     = "broker-url"
)

// user is the number of a user without rights, as in images made for such users.
const user = 65532

// restarts is how often the pod of one agent is started again. An agent that ends before the
// start can join again; later a new pod has none of the records of the old one.
const restarts = 3

// patience is how long an agent of one run waits for a controller, and fails then.
const patience = "30m"

// keptSeconds is how long a Job that has ended stays, to be looked at.
const keptSeconds = 3600

// objects returns what is written, in the order in which it should be applied.
func (c Config) objects() []object {
	list := []object{c.secret()}
	if c.Broker == "" {
		list = append(list, c.service())
	}
	list = append(list, c.agents())
	if len(c.Controller) > 0 {
		list = append(list, c.controller())
	}
	return list
}

func (c Config) object(api, kind, name string) object {
	return object{APIVersion: api, Kind: kind, Metadata: metadata{Name: name, Namespace: c.Namespace, Labels: c.labels("")}}
}

// labels are those of an object, or of the pods of one component, "agent" or "controller".
func (c Config) labels(component string) map[string]string {
	l := map[string]string{"app.kubernetes.io/name": "kabench", "app.kubernetes.io/instance": c.Name}
	if component != "" {
		l["app.kubernetes.io/component"] = component
	}
	return l
}

func (c Config) secret() object {
	o := c.object("v1", "Secret", c.Name)
	o.Type = "Opaque"
	o.Data, o.StringData = map[string][]byte{}, map[string]string{}
	add := func(key string, have []byte) {
		if have != nil {
			o.Data[key] = have
			return
		}
		o.StringData[key] = fmt.Sprintf("Replace this by the file %s that 'kabench fleet credentials DIR --host %s' writes,\nor print this manifest again with --credentials DIR.\n", key, c.host())
	}
	if c.hasCredentials() {
		add(keyAgent, c.AgentCredentials)
	}
	if c.hasCredentials() && len(c.Controller) > 0 {
		add(keyController, c.ControllerCredentials)
	}
	if c.secretBroker() {
		o.StringData[keyBroker] = c.Broker
	}
	return o
}

// service gives the controller a name. It has no address of its own (headless), so that the
// times by which clocks are compared pass no address translation, and it is there before
// the controller is ready, because agents wait for it.
func (c Config) service() object {
	o := c.object("v1", "Service", c.Name)
	o.Spec = serviceSpec{
		ClusterIP: "None", PublishNotReadyAddresses: true,
		Selector: c.labels("controller"),
		Ports:    []port{{Name: "nats", Port: Port}},
	}
	return o
}

func (c Config) agents() object {
	o := c.object("batch/v1", "Job", c.Name+"-agents")
	args := []string{"agent", "--name=agent-$(JOB_COMPLETION_INDEX)", "--dir=" + dirWork + "/agent"}
	args = append(args, c.joining(keyAgent, "--join=")...)
	for _, t := range c.AllowTargets {
		args = append(args, "--allow-target="+t)
	}
	if c.Once || len(c.Controller) > 0 {
		args = append(args, "--once", "--patience="+patience)
	}
	pod := c.pod("agent", args)
	pod.Spec.Volumes = append(pod.Spec.Volumes, volume{Name: "work", EmptyDir: &struct{}{}})
	// Two agents on one node share its cores and its link. Where nodes are fewer than agents,
	// they must share.
	pod.Spec.TopologySpreadConstraints = []spreadConstraint{{
		MaxSkew: 1, TopologyKey: "kubernetes.io/hostname", WhenUnsatisfiable: "ScheduleAnyway",
		LabelSelector: selector{c.labels("agent")},
	}}
	limit := restarts
	o.Spec = jobSpec{
		CompletionMode: "Indexed", Completions: c.Agents, Parallelism: c.Agents,
		BackoffLimitPerIndex: &limit,
		PodFailurePolicy: &podFailurePolicy{[]podFailureRule{
			// A node that is drained is not the agent's failure.
			{Action: "Ignore", OnPodConditions: []podCondition{{"DisruptionTarget", "True"}}},
			// Exit code 2: its command line or its credentials are wrong, and stay so.
			{Action: "FailIndex", OnExitCodes: &onExitCodes{ContainerName: "agent", Operator: "In", Values: []int{2}}},
		}},
		TTLSecondsAfterFinished: keptSeconds,
		Template:                pod,
	}
	return o
}

func (c Config) controller() object {
	o := c.object("batch/v1", "Job", c.Name+"-controller")
	args := append([]string{"run"}, c.Controller...)
	args = append(args, "--agents="+strconv.Itoa(c.Agents), "--out="+dirWork+"/results")
	if c.Broker == "" {
		args = append(args, "--listen=:"+strconv.Itoa(Port))
	}
	args = append(args, c.joining(keyController, "--broker=")...)
	pod := c.pod("controller", args)
	if c.Broker == "" {
		pod.Spec.Containers[0].Ports = []port{{Name: "nats", ContainerPort: Port}}
	}
	results := volume{Name: "work", EmptyDir: &struct{}{}}
	if c.Claim != "" {
		results = volume{Name: "work", PersistentVolumeClaim: &claimVolume{c.Claim}}
	}
	pod.Spec.Volumes = append(pod.Spec.Volumes, results)
	never := 0 // the same command would find the results of the first
	o.Spec = jobSpec{Completions: 1, Parallelism: 1, BackoffLimit: &never, TTLSecondsAfterFinished: keptSeconds, Template: pod}
	return o
}

// hasCredentials reports whether the fleet proves who it is by files in the Secret. The URL of
// a broker that runs already may say that.
func (c Config) hasCredentials() bool { return c.AgentCredentials != nil || !c.secretBroker() }

// joining are the arguments with which a process finds the broker and proves who it is.
func (c Config) joining(key, flag string) (args []string) {
	switch {
	case c.secretBroker():
		args = append(args, flag+"$(KABENCH_BROKER)")
	case c.Broker != "" || key == keyAgent:
		args = append(args, flag+c.address())
	}
	if c.hasCredentials() {
		args = append(args, "--credentials="+dirSecrets+"/"+key)
	}
	return args
}

// pod returns the pod of one component: a user without rights, a file system that it cannot
// change, and one volume to write to.
func (c Config) pod(component string, args []string) template {
	one := container{
		Name: component, Image: c.Image, Command: []string{"kabench"}, Args: args,
		Env: []variable{{Name: "TMPDIR", Value: dirWork}, {Name: "HOME", Value: dirWork}},
		// There is no limit of CPU: a process that is stopped for the rest of a period sends late.
		Resources: resources{
			Requests: map[string]string{"cpu": c.CPU, "memory": c.Memory},
			Limits:   map[string]string{"memory": c.Memory},
		},
		SecurityContext: containerSecurity{ReadOnlyRootFilesystem: true, Capabilities: capabilities{Drop: []string{"ALL"}}},
		VolumeMounts:    []mount{{Name: "work", MountPath: dirWork}},
	}
	if c.secretBroker() {
		one.Env = append(one.Env, variable{Name: "KABENCH_BROKER", ValueFrom: &valueSource{&keyRef{c.Name, keyBroker}}})
	}
	t := template{
		Metadata: metadata{Labels: c.labels(component)},
		Spec: podSpec{
			RestartPolicy: "Never", TerminationGracePeriodSeconds: 60,
			SecurityContext: podSecurity{RunAsNonRoot: true, RunAsUser: user, RunAsGroup: user, FSGroup: user, SeccompProfile: seccompProfile{"RuntimeDefault"}},
		},
	}
	if c.hasCredentials() {
		key := keyAgent
		if component == "controller" {
			key = keyController
		}
		one.VolumeMounts = append(one.VolumeMounts, mount{Name: "credentials", MountPath: dirSecrets, ReadOnly: true})
		t.Spec.Volumes = append(t.Spec.Volumes, volume{Name: "credentials", Secret: &secretVolume{
			SecretName: c.Name, DefaultMode: 0o440, Items: []keyPath{{key, key}},
		}})
	}
	t.Spec.Containers = []container{one}
	return t
}
