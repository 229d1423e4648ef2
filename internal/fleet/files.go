package fleet

import (
	"bytes"
	"fmt"
	"os"

	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/targets"
)

// The files that a profile can name, as an order has them. They are on the controller's
// machine only, so they travel with the profile.
const (
	fileTargets = "targets" // target.file, as JSON lines with the bodies in them
	fileCA      = "ca"      // target.tls.ca_file
	fileTrace   = "trace"   // load.trace, as the times of the requests that are sent
)

// withFiles returns a profile as YAML with its secrets, and the files that it names.
func withFiles(p *profiles.Profile) (text string, files map[string][]byte, err error) {
	p = p.Clone()
	files = map[string][]byte{}
	if p.Target.File != "" {
		if files[fileTargets], err = targetLines(p); err != nil {
			return "", nil, err
		}
		p.Target.Format = "json"
	}
	if path := p.Target.TLS.CAFile; path != "" {
		if files[fileCA], err = os.ReadFile(path); err != nil {
			return "", nil, fmt.Errorf("target.tls.ca_file: %w", err)
		}
	}
	if p.Load.Trace.Set() {
		if files[fileTrace], err = p.SentTrace(); err != nil {
			return "", nil, err
		}
	}
	yaml, err := profiles.Marshal(p)
	size := len(yaml)
	for _, data := range files {
		size += len(data) * 4 / 3 // JSON has bytes in base64
	}
	if err == nil && size > mostMessage*9/10 {
		err = fmt.Errorf("the profile and its files have %d kB, and agents can be sent %d kB: use fewer targets, smaller bodies, or less of a log (load.duration)", size>>10, mostMessage*9/10>>10)
	}
	return string(yaml), files, err
}

// targetLines writes the targets of a profile's file in vegeta's JSON format, which has the
// bodies in it.
func targetLines(p *profiles.Profile) ([]byte, error) {
	requests, err := profiles.Requests(p)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := targets.WriteJSON(&b, requests); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// usePaths has a profile name files where the agent has put them. It refuses one that names
// files which did not come with it: an order reads no file of the agent's machine.
func usePaths(p *profiles.Profile, paths map[string]string) error {
	for _, one := range []struct {
		field, name string
		path        *string
	}{{"target.file", fileTargets, &p.Target.File}, {"target.tls.ca_file", fileCA, &p.Target.TLS.CAFile},
		{"target.tls.cert_file", "", &p.Target.TLS.CertFile}, {"target.tls.key_file", "", &p.Target.TLS.KeyFile}, {"load.trace", fileTrace, &p.Load.Trace.File}} {
		path, came := paths[one.name]
		if *one.path != "" && !came {
			return fmt.Errorf("the profile names a file in %s, and the file did not come with it", one.field)
		}
		*one.path = path
	}
	if !p.Load.Trace.Set() {
		return nil
	}
	known := p.Warnings // the controller's are about its own file
	err := p.TakeTrace()
	p.Warnings = known
	return err
}
