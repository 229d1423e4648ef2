package profiles

import (
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/internal/strictyaml"
)

// Set changes the field of p at a dotted path: `load.rate`, `target.headers.X-A`,
// `remedies.0.cost`.
//
// The value is parsed as YAML. null resets the field to its default, or deletes a map
// entry. A string field takes the text literally unless it is quoted. `pool` and
// `target.lab` also accept a preset's name or a file; `server` and `via` accept the
// name of a server preset. A log given to `load.trace` replaces `load.rate` and
// `load.arrivals`, and is read. `driver` also accepts the name of a driver or a command, which
// then is the client; `driver.X` is short for `driver.settings.X`.
//
// On an error, which begins with `--set path=value`, p is unchanged. Set does not
// validate.
func Set(p *Profile, path, value string) error {
	d := newDecoder(Default())
	before, times := p.Load.Trace, p.Load.Times
	d.set(p, path, value)
	p.Warnings = append(p.Warnings, d.warnings()...)
	if p.Load.Trace != before {
		if p.Load.Times = nil; p.Load.Trace.Set() && len(d.Errs) == 0 {
			if err := p.readTrace(); err != nil {
				p.Load.Trace, p.Load.Times = before, times
				d.Complain("load.trace", nil, "%v", err)
			}
		}
	}
	return WithoutSecrets(d.Errs.Err(), path+"="+value)
}

// setArgument applies path=value, the argument of --set.
func (d *decoder) setArgument(p *Profile, argument string) {
	path, value, found := strings.Cut(argument, "=")
	if !found || path == "" {
		d.Errs = append(d.Errs, Complaint{Source: strictyaml.SetFlag + argument, Text: "write a field and its value: --set path=value"})
		return
	}
	d.set(p, path, value)
}

// set changes p. If there is a complaint, p is unchanged.
func (d *decoder) set(p *Profile, path, value string) {
	d.Source, d.Lined = strictyaml.SetFlag+path+"="+strictyaml.Shorten(value), false
	if !utf8.ValidString(value) || !utf8.ValidString(path) {
		d.Complain(path, nil, "is not UTF-8 text")
		return
	}
	path = driverPath(withoutPresetKey(path))
	if path == "driver" && !strictyaml.IsNullText(value) && !strings.HasPrefix(strings.TrimSpace(value), "{") {
		p.setDriver(value)
		d.Remember(path)
		return
	}
	if path == "pool" && isName(value) {
		preset, err := ReadPool(value)
		if err != nil {
			d.Complain(path, nil, "%v", err)
			return
		}
		p.Pool, p.Preset = preset.Pool, preset.Base
		d.notes = append(d.notes, preset.Warnings...)
		d.Remember(path)
		return
	}
	if path == "target.lab" && isName(value) {
		script, err := LoadServer(value)
		if err != nil {
			d.Complain(path, nil, "%v", err)
			return
		}
		p.Target.Lab = &script
		d.Remember(path)
		return
	}
	if (path == "server" || path == "via") && isName(value) {
		server, err := ReadServer(value)
		if err != nil {
			d.Complain(path, nil, "%v", err)
			return
		}
		facts := server.Facts
		facts.Take(server.Lab)
		if path == "server" {
			p.Server = facts
		} else {
			p.Via = facts
		}
		d.Remember(path)
		return
	}
	changed, before := p.Clone(), len(d.Errs)
	delete(d.Places, "preset") // label looked at what was set before
	d.preset, d.based = "", false
	d.Decoder.Set(reflect.ValueOf(changed).Elem(), path, value)
	if (path == "driver.name" || path == "driver.command") && value != "" && !strictyaml.IsNullText(value) {
		changed.Client = ClientExternal // as --driver
	}
	if path == "pool" && strictyaml.IsNullText(value) {
		changed.Preset = ""
	}
	if (path == "load.trace" || path == "load.trace.file") && changed.Load.Trace.Set() {
		changed.Load.Rate, changed.Load.Arrivals = 0, generator.Arrivals{}
	}
	d.label(changed)
	if len(d.Errs) == before {
		*p = *changed
	}
}

// isName reports whether the value of a pool or a lab is a name or a file, and not the
// pool or lab itself.
func isName(value string) bool {
	return value != "" && !strictyaml.IsNullText(value) && !strings.ContainsAny(value, "{\n") && !strings.Contains(value+" ", ": ")
}
