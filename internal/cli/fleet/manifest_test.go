package fleet

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/fleet"
	"github.com/kabench/kabench/internal/fleet/manifest"
)

// manifestSays runs 'kabench fleet manifest' with args.
func manifestSays(args ...string) (stdout, stderr string, err error) {
	var out, chatter bytes.Buffer
	c := NewManifest(cli.NewStreams(&out, &chatter))
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetArgs(args)
	err = c.Execute()
	return out.String(), chatter.String(), err
}

// The credentials come from a directory or a file, and a file that is missing is named.
func TestManifestCredentials(t *testing.T) {
	dir := t.TempDir()
	asked := []string{"--agents", "2", "--image", "kabench:v1", "--allow-target", "web", "--credentials"}
	if _, _, err := manifestSays(append(asked, dir)...); err == nil || !strings.Contains(err.Error(), "there is no file "+filepath.Join(dir, "agent.cred")) {
		t.Error(err)
	}
	for name, text := range map[string]string{"agent.cred": "the agents'", "controller.cred": "the controller's"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	inYAML := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	for _, from := range []string{dir, filepath.Join(dir, "agent.cred")} {
		text, stderr, err := manifestSays(append(asked, from)...)
		if err != nil || stderr != "" || !strings.Contains(text, inYAML("the agents'")) || strings.Contains(text, inYAML("the controller's")) {
			t.Errorf("%v %s\n%s", err, stderr, text)
		}
		text, _, err = manifestSays(append(asked, from, "--", "steady", "--rate", "100/s")...)
		if err != nil || !strings.Contains(text, inYAML("the agents'")) || !strings.Contains(text, inYAML("the controller's")) || !strings.Contains(text, "- --rate\n") {
			t.Errorf("%v\n%s", err, text)
		}
	}
}

// Wrong input is refused in a sentence that names the flag, and nothing is printed.
func TestManifestBadInput(t *testing.T) {
	for want, args := range map[string][]string{
		"--image is missing":               {"--agents", "20"},
		"--agents 0: name a number from 1": {"--image", "kabench"},
		"--name \"My Fleet\" is not a DNS": {"--image", "kabench", "--agents", "2", "--name", "My Fleet"},
		"give --allow-target HOST[:PORT]":  {"--image", "kabench", "--agents", "2"},
		"unexpected argument \"steady\"":   {"--image", "kabench", "--agents", "2", "steady"},
	} {
		if text, _, err := manifestSays(args...); err == nil || !strings.Contains(err.Error(), want) || text != "" {
			t.Errorf("%q: %v %s", args, err, text)
		}
	}
}

// A manifest has as many agents as a run can have.
func TestManifestMostAgents(t *testing.T) {
	if manifest.MostAgents != fleet.MostAgents {
		t.Errorf("a manifest has at most %d agents, and a run %d", manifest.MostAgents, fleet.MostAgents)
	}
}
