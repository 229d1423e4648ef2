package fleet

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/fleet/manifest"
	"github.com/kabench/kabench/internal/usage"
)

// manifestOptions holds the flags of 'kabench fleet manifest'.
type manifestOptions struct {
	manifest.Config
	credentials string
	watch       bool
}

// NewManifest makes 'kabench fleet manifest'.
func NewManifest(s *cli.Streams) *cobra.Command {
	o := &manifestOptions{}
	c := &cobra.Command{
		Use:   "manifest --agents N --image IMAGE [-- PROFILE FLAGS]",
		Short: "Print what runs agents in Kubernetes: a Secret, a Service and an Indexed Job",
		Long: `Print a Secret with the agents' credentials, a Service by which they find the controller, and an
Indexed Job that runs one agent in each of its pods, on different nodes as far as there are
nodes. Nothing is sent to a cluster; the first lines of the output say how to use it, and how
the controller runs. What follows -- is the profile and the flags of a 'kabench run' that
becomes a Job beside the agents.

Agents send only to the hosts that --allow-target names.

With --watch, print a DaemonSet instead that runs 'kabench watch' on each node; what
follows -- are its flags.`,
		Example: `  kabench fleet credentials creds --host shop.load.svc
  kabench fleet manifest --agents 20 --image registry.example.com/kabench:v1 --name shop --namespace load \
    --credentials creds --allow-target web.shop.svc:8080 > fleet.yaml
  kabench fleet manifest --watch --image registry.example.com/kabench:v1 -- --pod shop-0 --until 'failures > 0'`,
		RunE: func(c *cobra.Command, args []string) error {
			if at := c.ArgsLenAtDash(); len(args) > 0 && at != 0 {
				return usage.Errorf(c.CommandPath(), "unexpected argument %q: write the controller's profile and flags after --", args[0])
			}
			if o.watch {
				return watchManifest(c, s, o, args)
			}
			o.Controller = args
			return doManifest(c, s, o)
		},
	}
	f := c.Flags()
	f.IntVar(&o.Agents, "agents", 0, "how many agents")
	f.StringVar(&o.Image, "image", "", "container image that has kabench in its PATH")
	f.StringVar(&o.Name, "name", manifest.DefaultName, "name of the Secret and the Service, and the beginning of the Job's")
	f.StringVar(&o.Namespace, "namespace", "", "namespace (default: the one that kubectl uses)")
	f.StringArrayVar(&o.AllowTargets, "allow-target", nil, "host[:port] that agents may send to, or *.domain; may be repeated")
	f.StringVar(&o.credentials, "credentials", "", "directory that 'kabench fleet credentials' wrote, or its file agent.cred")
	f.StringVar(&o.Broker, "broker", "", "URL of a NATS server that runs already (default: the one in the controller)")
	f.StringVar(&o.CPU, "cpu", manifest.DefaultCPU, "cores that an agent requests")
	f.StringVar(&o.Memory, "memory", manifest.DefaultMemory, "memory that an agent requests, and may use at most")
	f.BoolVar(&o.Once, "once", false, "end the agents after one run, so that the Job completes; always with a controller after --")
	f.BoolVar(&o.watch, "watch", false, "print a DaemonSet that watches a service: -- --pod NAME, and further flags of 'kabench watch'")
	f.StringVar(&o.Claim, "claim", "", "PersistentVolumeClaim for the results of the controller after --")
	return c
}

// watchManifest prints what watches a service in a cluster. Flags about agents have no meaning
// there.
func watchManifest(c *cobra.Command, s *cli.Streams, o *manifestOptions, args []string) error {
	for _, flag := range []string{"agents", "allow-target", "credentials", "broker", "once", "claim"} {
		if c.Flags().Changed(flag) {
			return usage.Errorf(c.CommandPath(), "--watch and --%s do not fit: a watch has no agents", flag)
		}
	}
	w := manifest.Watch{Image: o.Image, Namespace: o.Namespace, Args: args}
	for flag, to := range map[string]struct{ to, from *string }{"name": {&w.Name, &o.Name}, "cpu": {&w.CPU, &o.CPU}, "memory": {&w.Memory, &o.Memory}} {
		if c.Flags().Changed(flag) {
			*to.to = *to.from
		}
	}
	if err := w.Validate(); err != nil {
		return &usage.Error{Command: c.CommandPath(), Err: err}
	}
	if s.JSON {
		return manifest.WriteWatchJSON(s.Out, w)
	}
	return manifest.WriteWatch(s.Out, w)
}

func doManifest(c *cobra.Command, s *cli.Streams, o *manifestOptions) error {
	if err := o.Validate(); err != nil {
		return &usage.Error{Command: c.CommandPath(), Err: err}
	}
	if len(o.AllowTargets) == 0 {
		return usage.Errorf(c.CommandPath(), "give --allow-target HOST[:PORT] for each host that the agents may send requests to; without one they would end at once")
	}
	if err := o.readCredentials(); err != nil {
		return err
	}
	if s.JSON {
		return manifest.WriteJSON(s.Out, o.Config)
	}
	return manifest.Write(s.Out, o.Config)
}

// readCredentials reads agent.cred and, for a controller in the cluster, controller.cred
// beside it.
func (o *manifestOptions) readCredentials() (err error) {
	if o.credentials == "" {
		return nil
	}
	agent := o.credentials
	if info, err := os.Stat(agent); err == nil && info.IsDir() {
		agent = filepath.Join(agent, "agent.cred")
	}
	read := func(path string) []byte {
		text, failed := os.ReadFile(path)
		if errors.Is(failed, fs.ErrNotExist) {
			failed = fmt.Errorf("--credentials %s: there is no file %s; make it with 'kabench fleet credentials DIR --host NAME'", o.credentials, path)
		}
		err = errors.Join(err, failed)
		return text
	}
	o.AgentCredentials = read(agent)
	if len(o.Controller) > 0 {
		o.ControllerCredentials = read(filepath.Join(filepath.Dir(agent), "controller.cred"))
	}
	return err
}
