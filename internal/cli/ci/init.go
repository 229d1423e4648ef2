package ci

import (
	"bytes"
	"embed"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/usage"
)

//go:embed templates
var templates embed.FS

// system is a CI system that a job can be written for.
type system struct {
	flag, name string
	template   string // below templates
	file       string // where the system, or its user, expects the job
}

var systems = []system{
	{"github", "GitHub Actions", "github.yml", ".github/workflows/kabench.yml"},
	{"gitlab", "GitLab CI", "gitlab.yml", ".gitlab/kabench.yml"},
	{"jenkins", "Jenkins", "Jenkinsfile", "Jenkinsfile"},
}

// initOptions holds the flags of 'kabench ci init'.
type initOptions struct {
	profile string
	chosen  [3]bool // by the index of systems
	output  string  // "-": standard output
	force   bool
}

// NewCI makes 'kabench ci'.
func NewCI(s *cli.Streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "ci",
		Short: "Run kabench on every change of a service",
		Args:  usage.NoSubcommand,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newInit(s))
	return c
}

func newInit(s *cli.Streams) *cobra.Command {
	o := &initOptions{}
	c := &cobra.Command{
		Use:   "init [PROFILE]",
		Short: "Write the job that runs kabench on every change",
		Long: `Write a workflow for GitHub Actions, or a job for GitLab CI or Jenkins. The job runs PROFILE
(kabench.yaml if it is left out), compares the run with the newest five baselines, keeps the runs
of the main branch as baselines, and stores the report and JUnit XML as artefacts.

An existing file is not replaced, unless --force is given.`,
		Example: `  kabench ci init
  kabench ci init bench/checkout.yaml --gitlab
  kabench ci init --jenkins -o -`,
		Args:              usage.AtMostOne("profile"),
		ValidArgsFunction: cli.CompleteProfiles,
		RunE: func(c *cobra.Command, args []string) error {
			o.profile = "kabench.yaml"
			if len(args) > 0 {
				o.profile = args[0]
			}
			return doInit(c, s, o)
		},
	}
	c.Flags().SortFlags = false
	for i, one := range systems {
		usage := "write a job for " + one.name + " to " + one.file
		if i == 0 {
			usage += " (the default)"
		}
		c.Flags().BoolVar(&o.chosen[i], one.flag, false, usage)
	}
	c.Flags().StringVarP(&o.output, "output", "o", "", "file to write instead; - for standard output")
	c.Flags().BoolVar(&o.force, "force", false, "replace an existing file")
	c.MarkFlagsMutuallyExclusive("github", "gitlab", "jenkins")
	return c
}

// plainPath is what a profile may be called in a job: such a name needs no quotes in YAML, in
// Groovy and in a shell.
var plainPath = regexp.MustCompile(`^[A-Za-z0-9_./][A-Za-z0-9_./+-]*$`)

// released is the form of a version that others can install.
var released = regexp.MustCompile(`^v[0-9]+\.[0-9]+\.[0-9]+$`)

func doInit(c *cobra.Command, s *cli.Streams, o *initOptions) error {
	chosen := systems[0]
	for i, is := range o.chosen {
		if is {
			chosen = systems[i]
		}
	}
	if !plainPath.MatchString(o.profile) {
		return usage.Errorf(c.CommandPath(), "%q: name the profile with letters, digits and ./_+- only, relative to the top of the repository", o.profile)
	}
	file := chosen.file
	if o.output != "" {
		file = o.output
	}
	if file == "-" {
		text, err := chosen.job(o.profile, chosen.file, cli.Version())
		if err == nil {
			_, err = s.Out.Write(text)
		}
		return err
	}
	text, err := chosen.job(o.profile, file, cli.Version())
	if err != nil {
		return err
	}
	if _, err := os.Lstat(file); err == nil && !o.force {
		return fmt.Errorf("%s exists; --force replaces it, and -o names another file", file)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("%s: its directory cannot be made (%v); -o names another file", file, err)
	}
	if err := cli.WriteFile(file, func(w io.Writer) error { _, err := w.Write(text); return err }); err != nil {
		return err
	}
	if s.JSON {
		return s.Line(map[string]string{"file": file, "system": chosen.flag, "profile": o.profile}, "")
	}
	fmt.Fprintf(s.Err, "written: %s\n", file)
	if _, err := os.Stat(o.profile); err != nil && strings.ContainsAny(o.profile, "./") {
		fmt.Fprintf(s.Err, "kabench: the job runs %s, which does not exist yet; 'kabench show steady >%s' begins one\n", o.profile, o.profile)
	}
	return nil
}

// job returns the text of a job. A kabench that was not released writes a job that installs
// the newest one.
func (s system) job(profile, file, version string) ([]byte, error) {
	t, err := template.ParseFS(templates, "templates/"+s.template)
	if err != nil {
		return nil, err
	}
	data := struct{ Profile, File, Version, Ref string }{profile, filepath.ToSlash(file), "latest", "main"}
	if released.MatchString(version) {
		data.Version, data.Ref = version, version
	}
	var b bytes.Buffer
	err = t.Execute(&b, data)
	return b.Bytes(), err
}
