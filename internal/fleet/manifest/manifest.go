// Package manifest writes what Kubernetes needs to run the agents of a fleet: a Secret with
// their credentials, a Service by which they find the controller, and an Indexed Job that
// places them.
package manifest

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Config says what is written. Agents and Image are required; an empty field has the
// default that is given with it.
type Config struct {
	Agents    int    // 1 to MostAgents
	Image     string // has the program kabench
	Namespace string // "": the one that kubectl uses
	Name      string // of all objects; "": DefaultName. A DNS label of at most mostName bytes

	// AllowTargets are the hosts that agents may send to, as for 'kabench agent'. Without any,
	// agents do not start.
	AllowTargets []string
	// Once ends agents after one run, so that the Job completes. So does Controller.
	Once bool
	// Broker is the URL of a NATS server that runs already. "": the controller's own, which
	// agents find by the Service.
	Broker string
	// AgentCredentials and ControllerCredentials are the contents of agent.cred and
	// controller.cred. nil: the Secret has a text in their place that says how they are made.
	AgentCredentials, ControllerCredentials []byte

	CPU    string // that an agent requests, in cores; "": DefaultCPU
	Memory string // that an agent requests, and may use at most; "": DefaultMemory

	// Controller are the arguments of 'kabench run', without those about the fleet, of a
	// controller in the cluster. With none, the user starts the controller.
	Controller []string
	// Claim is the PersistentVolumeClaim that gets the controller's results. "": they end
	// with its pod, and only what it printed is left.
	Claim string
}

// The defaults of Config.
const (
	DefaultName   = "kabench"
	DefaultCPU    = "1"
	DefaultMemory = "512Mi"
)

// Port is where the controller's broker listens.
const Port = 4222

// MostAgents is how many agents a run can have.
const MostAgents = 1000

// mostName is how long Name may be: a pod's host name is at most 63 bytes, and it is Name
// with "-agents-" and a number of up to three digits, or "-controller".
const mostName = 63 - len("-agents-999")

var (
	label    = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
	cpu      = regexp.MustCompile(`^([0-9]+m?|[0-9]+\.[0-9]{1,3})$`)
	memory   = regexp.MustCompile(`^[0-9]+(Ki|Mi|Gi|Ti|k|M|G|T)?$`)
	nonZero  = regexp.MustCompile(`[1-9]`)
	printing = regexp.MustCompile(`^[!-~]+$`)
)

// Validate returns all that is wrong with c, one sentence a line.
func (c Config) Validate() error {
	var all []error
	add := func(wrong bool, format string, args ...any) {
		if wrong {
			all = append(all, fmt.Errorf(format, args...))
		}
	}
	c = c.withDefaults()
	add(c.Agents < 1 || c.Agents > MostAgents, "--agents %d: name a number from 1 to %d", c.Agents, MostAgents)
	add(c.Image == "", "--image is missing: name the container image that has kabench, for example registry.example.com/kabench:v1")
	add(c.Image != "" && !printing.MatchString(c.Image), "--image %q: a name of an image has no spaces", c.Image)
	add(!label.MatchString(c.Name) || len(c.Name) > mostName, "--name %q is not a DNS label of at most %d characters: use a-z, 0-9 and -, and begin and end with a letter or digit", c.Name, mostName)
	add(c.Namespace != "" && (!label.MatchString(c.Namespace) || len(c.Namespace) > 63), "--namespace %q is not a DNS label: use a-z, 0-9 and -, and begin and end with a letter or digit", c.Namespace)
	add(c.Claim != "" && (!label.MatchString(c.Claim) || len(c.Claim) > 63), "--claim %q is not a DNS label: use a-z, 0-9 and -, and begin and end with a letter or digit", c.Claim)
	add(!cpu.MatchString(c.CPU) || !nonZero.MatchString(c.CPU), "--cpu %q is not a number of cores: write 2, 0.5 or 500m", c.CPU)
	add(!memory.MatchString(c.Memory) || !nonZero.MatchString(c.Memory), "--memory %q is not a size: write 512Mi or 2Gi", c.Memory)
	for _, t := range c.AllowTargets {
		add(!printing.MatchString(t) || strings.Contains(t, "/"), "--allow-target %q: name a host, or host:port, for example web.shop.svc:8080", t)
	}
	if c.Broker != "" {
		u, err := url.Parse(c.Broker)
		add(err != nil || u.Host == "" || u.Scheme != "nats" && u.Scheme != "tls",
			"--broker is not the URL of a NATS server: write nats://HOST:%d or tls://HOST:%d", Port, Port)
	}
	add(c.Claim != "" && len(c.Controller) == 0, "--claim keeps the results of a controller in the cluster: say after -- what it runs, for example -- steady --rate 20000/s")
	return errors.Join(all...)
}

func (c Config) withDefaults() Config {
	for field, or := range map[*string]string{&c.Name: DefaultName, &c.CPU: DefaultCPU, &c.Memory: DefaultMemory} {
		if *field == "" {
			*field = or
		}
	}
	return c
}

// host is the name of the controller in the cluster.
func (c Config) host() string {
	if c.Namespace == "" {
		return c.Name
	}
	return c.Name + "." + c.Namespace + ".svc"
}

// address is the URL that agents dial, if it is not a secret.
func (c Config) address() string {
	if c.Broker != "" {
		return c.Broker
	}
	return "tls://" + c.host() + ":" + strconv.Itoa(Port)
}

// secretBroker reports whether Broker has a user, a password or a token in it, so that it
// belongs into the Secret.
func (c Config) secretBroker() bool {
	u, err := url.Parse(c.Broker)
	return err == nil && u.User != nil
}
