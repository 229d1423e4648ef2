package broker

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// schema names the format of a credentials file.
const schema = "kabench.credentials/v1"

// The roles in a fleet.
const (
	controller = "controller"
	agent      = "agent"
)

// Credentials let a process take part in a fleet: a key of its own, and the authority that the
// broker's certificate must come from. The controller's also have what an embedded broker
// needs: its certificate, and the keys that it lets in.
type Credentials struct {
	Schema string `json:"schema"` // kabench.credentials/v1
	Role   string `json:"role"`   // controller or agent
	Seed   string `json:"seed"`   // the private nkey of a user, SU…
	CA     string `json:"ca"`     // PEM: the only authority that is believed
	// Only in the controller's:
	Agent       string `json:"agent,omitempty"`       // the public nkey of all agents, U…
	Certificate string `json:"certificate,omitempty"` // PEM: the broker's
	Key         string `json:"key,omitempty"`         // PEM: the certificate's private key
}

// maxFile bounds a credentials file, in bytes. A real one has about 2,000.
const maxFile = 64 << 10

// Generate makes new credentials: keys for a controller and for its agents, and a certificate
// of the broker for hosts, which are names (*.example.com too) and addresses. The loopback's
// names are always in it. It is valid for a year; the key of its authority is thrown away.
func Generate(hosts []string) (forController, forAgents *Credentials, err error) {
	ca, certificate, key, err := certify(hosts, time.Now())
	if err != nil {
		return nil, nil, err
	}
	controllerSeed, _, err := newUser()
	if err != nil {
		return nil, nil, err
	}
	agentSeed, agentPublic, err := newUser()
	if err != nil {
		return nil, nil, err
	}
	forController = &Credentials{
		Schema: schema, Role: controller, Seed: controllerSeed, CA: ca,
		Agent: agentPublic, Certificate: certificate, Key: key,
	}
	return forController, &Credentials{Schema: schema, Role: agent, Seed: agentSeed, CA: ca}, nil
}

// newUser makes a key pair.
func newUser() (seed, public string, err error) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return "", "", err
	}
	secret, err := pair.Seed()
	if err != nil {
		return "", "", err
	}
	public, err = pair.PublicKey()
	return string(secret), public, err
}

// Read reads a credentials file. It refuses a file that every user of the machine can read;
// the file's group may, because that is how Kubernetes gives a secret to a user that is not
// root (defaultMode 0440 and fsGroup).
func Read(path string) (*Credentials, error) {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("there are no credentials at %s: make them with kabench fleet credentials, and copy agent.cred to each agent", path)
	}
	if err != nil {
		return nil, fmt.Errorf("the credentials cannot be read: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s is a directory: give a file in it, controller.cred for the controller or agent.cred for an agent", path)
	}
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&0o007 != 0 {
		return nil, fmt.Errorf("every user of this machine can read %s, and so take part in the fleet: run chmod 600 on it, and make new credentials if others may have seen it", path)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("the credentials cannot be read: %w", err)
	}
	c, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s holds no credentials of kabench (%w): give the file controller.cred or agent.cred that kabench fleet credentials wrote", path, err)
	}
	return c, nil
}

func parse(text []byte) (*Credentials, error) {
	if len(text) > maxFile {
		return nil, errors.New("it is too long")
	}
	c := &Credentials{}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(c); err != nil {
		return nil, fmt.Errorf("it is not valid JSON of this kind: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows the credentials")
	}
	return c, c.validate()
}

// ForAgent refuses credentials that an agent must not have: with the controller's it could
// make and remove streams, and pass itself off as the broker.
func (c *Credentials) ForAgent() error {
	if c.Role != agent {
		return errors.New("these are the controller's: give the agent.cred that was made with them, and keep controller.cred on the controller's machine")
	}
	return nil
}

// validate finds what is missing or damaged in c.
func (c *Credentials) validate() error {
	if c.Schema != schema {
		return fmt.Errorf("its schema is %q and not %q", c.Schema, schema)
	}
	if c.Role != controller && c.Role != agent {
		return fmt.Errorf("its role is %q", c.Role)
	}
	if pair, err := nkeys.FromSeed([]byte(c.Seed)); err != nil {
		return errors.New("its seed is damaged")
	} else if public, err := pair.PublicKey(); err != nil || !nkeys.IsValidPublicUserKey(public) {
		return errors.New("its seed is no user's")
	}
	if !x509.NewCertPool().AppendCertsFromPEM([]byte(c.CA)) {
		return errors.New("its authority is damaged")
	}
	if c.Role == agent {
		return nil
	}
	if !nkeys.IsValidPublicUserKey(c.Agent) {
		return errors.New("its key of the agents is damaged")
	}
	if _, err := tls.X509KeyPair([]byte(c.Certificate), []byte(c.Key)); err != nil {
		return errors.New("its certificate is damaged")
	}
	return nil
}

// Write writes a credentials file that only its owner can read, whole or not at all.
func (c *Credentials) Write(path string) error {
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), ".credentials-*") // its mode is 0600
	if err != nil {
		return fmt.Errorf("the credentials cannot be written: %w", err)
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.Write(append(text, '\n'))
	if err == nil {
		err = temporary.Sync()
	}
	if e := temporary.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("the credentials cannot be written: %w", err)
	}
	return nil
}

// Controls reports whether c are a controller's.
func (c *Credentials) Controls() bool { return c.Role == controller }

// public is c's own public key.
func (c *Credentials) public() (string, error) {
	pair, err := nkeys.FromSeed([]byte(c.Seed))
	if err != nil {
		return "", errors.New("the seed of the credentials is damaged: make new ones with kabench fleet credentials")
	}
	return pair.PublicKey()
}

// serve makes a server ask for c: TLS, and the keys of the controller and its agents.
func (c *Credentials) serve(o *server.Options) error {
	if !c.Controls() {
		return errors.New("an agent's credentials cannot serve a broker: give the controller controller.cred")
	}
	certificate, err := tls.X509KeyPair([]byte(c.Certificate), []byte(c.Key))
	if err != nil {
		return fmt.Errorf("the certificate of the credentials is damaged: %w", err)
	}
	own, err := c.public()
	if err != nil {
		return err
	}
	o.TLS = true
	o.TLSTimeout = 10 // seconds: agents may be far away, and many
	o.AuthTimeout = 10
	o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certificate}}
	o.Nkeys = []*server.NkeyUser{
		{Nkey: own},
		{Nkey: c.Agent, Permissions: agentsMay()},
	}
	return nil
}

// agentsMay is what the agents' key allows: the fleet's own subjects, responses, and reading
// what a stream has. Agents can make, change or remove no stream.
func agentsMay() *server.Permissions {
	return &server.Permissions{
		Publish: &server.SubjectPermission{Allow: []string{
			"kabench.>", "_INBOX.>",
			"$JS.API.INFO", "$JS.API.STREAM.INFO.*", "$JS.API.STREAM.MSG.GET.*", "$JS.API.DIRECT.GET.>",
		}},
		Subscribe: &server.SubjectPermission{Allow: []string{"kabench.>", "_INBOX.>"}},
	}
}

// join makes a connection present c.
func (c *Credentials) join() ([]nats.Option, error) {
	pair, err := nkeys.FromSeed([]byte(c.Seed))
	if err != nil {
		return nil, errors.New("the seed of the credentials is damaged: make new ones with kabench fleet credentials")
	}
	public, err := pair.PublicKey()
	if err != nil {
		return nil, err
	}
	authority := x509.NewCertPool()
	if !authority.AppendCertsFromPEM([]byte(c.CA)) {
		return nil, errors.New("the authority of the credentials is damaged: make new ones with kabench fleet credentials")
	}
	return []nats.Option{
		nats.Nkey(public, pair.Sign),
		nats.Secure(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: authority}),
	}, nil
}
