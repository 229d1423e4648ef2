package profiles

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/secrets"
	"github.com/kabench/kabench/internal/strictyaml"
)

// Driver is the real client that performs the exchanges with client: external: a process
// that speaks the protocol of dialers/external. It has a Name or a Command.
type Driver struct {
	// Name is one of those that 'kabench driver list' shows.
	Name string `yaml:"name,omitempty"`
	// Command is a program and its arguments, as a shell would read them.
	Command string `yaml:"command,omitempty"`
	// Settings are the client's own, by the client's own names, as text: a duration with
	// its unit, a number, true, a word, or none for no limit. Whether the client has them
	// is found out when the driver has started. They win over what the pool says.
	Settings Changes `yaml:"settings,omitempty"`
}

// settingName is the name of a setting in some language.
var settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

// String names the driver as --driver takes it.
func (d *Driver) String() string {
	if d.Command != "" {
		return d.Command
	}
	return d.Name
}

// IsDriverCommand reports whether what --driver takes is a command and not the name of a
// driver: it has a space or a slash.
func IsDriverCommand(text string) bool { return strings.ContainsAny(text, " \t/\\") }

// setDriver makes the driver of that name, or with that command, p's client.
func (p *Profile) setDriver(text string) {
	driver := &Driver{Name: text}
	if IsDriverCommand(text) {
		driver = &Driver{Command: text}
	}
	p.Client, p.Driver = ClientExternal, driver
}

// driverPath returns the path of the driver's setting that is set at path: driver.keepAlive
// is short for driver.settings.keepAlive.
func driverPath(path string) string {
	rest, within := strings.CutPrefix(path, "driver.")
	key, _, _ := strings.Cut(rest, ".")
	if !within || slices.Contains([]string{"name", "command", "settings"}, key) {
		return path
	}
	return "driver.settings." + rest
}

// driverComplaints returns the complaints about the client and its driver.
func (p *Profile) driverComplaints() Errors {
	external, d := p.Client == ClientExternal, p.Driver
	list := broken("",
		rule{external && d == nil, "driver", "client: external needs a driver; set driver.name ('kabench driver list' shows the names) or driver.command (--driver NAME|COMMAND)"},
		rule{!external && d != nil, "driver", fmt.Sprintf("has no effect with client: %s; set client: external or remove it", p.Client)},
	)
	if external {
		list = append(list, p.notOfExternal()...)
	}
	if d == nil {
		return list
	}
	list = append(list, broken("driver",
		rule{external && d.Name == "" && d.Command == "", "name", "there is no driver; set driver.name ('kabench driver list' shows the names) or driver.command"},
		rule{d.Name != "" && d.Command != "", "command", "driver.name is a driver already; remove one"},
		rule{d.Name != "" && IsDriverCommand(d.Name), "name", fmt.Sprintf("%q is no name; write it as driver.command, or name one of 'kabench driver list'", d.Name)},
		rule{d.Command != "" && strings.TrimSpace(d.Command) == "", "command", "is empty; write a program and its arguments"},
	)...)
	for _, name := range slices.Sorted(maps.Keys(d.Settings)) {
		list = append(list, broken("driver.settings",
			rule{!settingName.MatchString(name), name, "is not the name of a setting; write one that 'kabench driver list' shows"},
			rule{d.Settings[name] == "", name, "is empty; give a value, none for no limit, or remove it"},
		)...)
	}
	return list
}

// CannotSend says what of p only kabench's own client can do, if p's client is a real one;
// "" if there is nothing. A remedy that sets such a field is not available.
func (p *Profile) CannotSend() string {
	if list := p.notOfExternal(); p.Client == ClientExternal && len(list) > 0 {
		return list[0].Path + ": " + strings.TrimSuffix(strings.TrimSuffix(list[0].Text, "; remove it"), "; remove them")
	}
	return ""
}

// notOfExternal returns the complaints about what only kabench's own client can do.
func (p *Profile) notOfExternal() Errors {
	t := p.Target
	return append(broken("load",
		rule{p.Load.LeakEvery > 0, "leak_every", "a real client's driver reads every response to its end; remove it"},
	), broken("target",
		rule{t.Pipeline > 1, "pipeline", "a real client sends one request at a time on a connection; remove it"},
		rule{t.SplitWrites, "split_writes", "a real client decides how it writes requests; remove it"},
		rule{t.TCP.Nagle, "tcp.nagle", "a real client sets its own socket options; remove it"},
		rule{t.TCP.UserTimeout > 0, "tcp.user_timeout", "a real client sets its own socket options; remove it"},
		rule{t.TCP.KeepAlive > 0, "tcp.keep_alive", "a real client sets its own socket options; remove it"},
		rule{len(t.SourceAddresses) > 0, "source_addresses", "a real client chooses its own source address; remove them"},
		rule{t.hasHeader("X-Request-Id"), "headers", "have an X-Request-Id, by which the requests of a real client are known; remove it"},
		rule{t.TLS.CAFile != "", "tls.ca_file", "a driver gets no certificates; set tls.insecure, or remove it to have the client check by its own roots"},
		rule{t.TLS.CertFile != "", "tls.cert_file", "a driver gets no certificates, so a real client cannot show one; remove it, or use kabench's own client"},
		rule{t.TLS.ServerName != "", "tls.server_name", "a real client names the server of the URL; remove it"},
		rule{t.TLS.Resume, "tls.resume", "a real client decides whether it resumes sessions; remove it"},
	)...)
}

// redactDriver blanks what looks like a credential in the driver of p, which is a copy.
func (p *Profile) redactDriver() {
	if p.Driver == nil {
		return
	}
	for _, value := range secrets.InText(p.Driver.Command) {
		p.Driver.Command = strings.ReplaceAll(p.Driver.Command, value, secrets.Blanked)
	}
	for name := range p.Driver.Settings {
		if secrets.Named(name) {
			p.Driver.Settings[name] = secrets.Blanked
		}
	}
}

// driverSecrets lists the credentials in p's driver.
func (p *Profile) driverSecrets() (values []string) {
	if p.Driver == nil {
		return nil
	}
	values = secrets.InText(p.Driver.Command)
	for name, value := range p.Driver.Settings {
		if secrets.Named(name) {
			values = append(values, value)
		}
	}
	return values
}

// redactDriverSetting returns the value of a path of the driver without secrets.
func redactDriverSetting(path, value string) string {
	if name, _ := strings.CutPrefix(driverPath(path), "driver.settings."); secrets.Named(name) {
		return secrets.Blanked
	}
	for _, secret := range secrets.InText(value) {
		value = strings.ReplaceAll(value, secret, secrets.Blanked)
	}
	return value
}

// Place is where a field of the pool was set: by a flag, or at a line of a file.
type Place struct {
	Text string // "--set pool.idle_timeout=3s", "mine.yaml:12:3"
	// Mine says that the user has set it, by a flag or in a file. Otherwise a profile of the
	// library has.
	Mine bool
	// Usual says that a file gives the value that the default policy or the pool's preset
	// has anyway: a profile that kabench has written gives every field.
	Usual bool
}

// given returns the fields of the pool that were set. library says that the file is one of
// kabench's own.
func (d *decoder) given(p *Profile, library bool) map[string]Place {
	var set map[string]Place
	usual, own := reflect.ValueOf(pool.Default()), reflect.ValueOf(p.Pool)
	for f := range strictyaml.FieldsOf(own.Type()) {
		name, _ := strictyaml.FieldKey(f)
		path := strictyaml.Join("pool", name)
		m, said := d.Places[path]
		if !said {
			continue
		}
		flag := strings.HasPrefix(m.Source, strictyaml.SetFlag)
		same := reflect.DeepEqual(own.FieldByIndex(f.Index).Interface(), usual.FieldByIndex(f.Index).Interface())
		if preset, found := FindPool(p.Preset); found && !same {
			value := reflect.ValueOf(preset.Pool).FieldByIndex(f.Index).Interface()
			same = reflect.DeepEqual(own.FieldByIndex(f.Index).Interface(), value)
		}
		// A forecast is in a file that kabench has written.
		place := Place{Text: m.Source, Mine: flag || !library && p.Forecast == nil, Usual: !flag && same}
		if m.Line > 0 {
			place.Text = fmt.Sprintf("%s:%d:%d", m.Source, m.Line, m.Column)
		}
		if set == nil {
			set = map[string]Place{}
		}
		set[path] = place
	}
	return set
}
