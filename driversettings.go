package kabench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kabench/kabench/dialers/external"
	"github.com/kabench/kabench/dialers/external/drivers"
	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/settings"
	"github.com/kabench/kabench/results"
)

// settle decides what the driver's client is to be set to: what p's pool says, as far as the
// client has settings for it, and then what p says in the client's own words. The error
// names a field that the user has set and the client lacks.
func (o *outsider) settle(p *profiles.Profile, entry drivers.Entry) error {
	hello := o.driver.Hello()
	d := settings.Driver{Client: hello.Client, Has: availableIn(hello)}
	given, err := fromPool(d, p, slices.Contains(entry.Preset, p.Preset))
	if err != nil {
		return err
	}
	o.lacks, o.notes, o.fields = given.lacks, given.notes, given.fields
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(p.Driver.Settings)) {
		value, err := d.Value(name, p.Driver.Settings[name])
		if err != nil {
			errs = append(errs, fmt.Errorf("driver.settings.%s: %w", name, err))
			continue
		}
		given.values[name] = value
	}
	o.config.Settings = given.values
	return errors.Join(errs...)
}

// configure gives the driver its config. A value that it refuses is left out with a warning,
// so that the client's own default stands, if the user has not asked for that value. The
// error names the place of one that the user has.
func (o *outsider) configure(ctx context.Context, p *profiles.Profile) error {
	for {
		err := o.driver.Configure(ctx, o.config)
		refused, is := errors.AsType[*external.RefusedError](err)
		if !is {
			return err
		}
		value, sent := o.config.Settings[refused.Setting]
		_, own := p.Driver.Settings[refused.Setting]
		field := o.fields[refused.Setting]
		place := p.Given["pool."+field]
		switch {
		case own:
			return fmt.Errorf("driver.settings.%s: %w", refused.Setting, err)
		case !sent || field == "":
			return err
		case place.Mine && !place.Usual:
			return fmt.Errorf("%s%w; set another value with --set pool.%s=... or --set driver.%s=...", saidAt(p, field), err, field, refused.Setting)
		}
		delete(o.config.Settings, refused.Setting)
		o.lacks = append(o.lacks, "pool."+field)
		o.notes = append(o.notes, fmt.Sprintf("%s has no value for pool.%s %s (%s: %s); it keeps %s",
			o.driver.Hello().Client, field, settings.Text(value), refused.Setting, refused.Text, o.keeps(refused.Setting)))
	}
}

// keeps names the client's own value of a setting, for people.
func (o *outsider) keeps(name string) string {
	hello := o.driver.Hello()
	s, _ := hello.Setting(name)
	switch v := s.Default.(type) {
	case nil:
		return "its own default"
	case float64:
		if s.Kind == settings.KindDuration {
			return "its own " + results.FormatSeconds(v/1000)
		}
	}
	return fmt.Sprintf("its own %v", s.Default)
}

// mapped is what a driver's client gets of a profile's pool.
type mapped struct {
	values map[string]any    // by the client's own names
	fields map[string]string // the field of the pool that each of values is from
	lacks  []string          // paths of fields that it has no setting for
	notes  []string          // warnings about them
}

// fromPool finds the client's settings for the fields of p's pool that say something: those
// that were given, and those that differ from the default policy. The default policy says
// nothing by itself: with it the client keeps its own defaults. A field that the user has
// set and that the client lacks is an error. One that the incident has set, or that comes
// with a preset, is a warning, unless the preset is the client's own.
func fromPool(d settings.Driver, p *profiles.Profile, own bool) (m mapped, err error) {
	m.values, m.fields = map[string]any{}, map[string]string{}
	var errs []error
	var byFile, byPreset []string
	for _, field := range settings.Fields() {
		path := "pool." + field
		place, given := p.Given[path]
		if !given && settings.Same(p.Pool, pool.Default(), field) {
			continue
		}
		s, value, err := d.OfPool(p.Pool, field)
		var none *settings.NoSettingError
		switch {
		case err == nil:
			if _, twice := m.values[s.Name]; !twice { // two fields, one setting: the first of the pool's fields says it
				m.values[s.Name], m.fields[s.Name] = value, field
			}
			continue
		case place.Usual:
			continue // the default policy's value, in a file that has every field
		}
		m.lacks = append(m.lacks, path)
		switch {
		case given && place.Mine:
			errs = append(errs, fmt.Errorf("%s%w", saidAt(p, field), err))
		case !errors.As(err, &none):
			m.notes = append(m.notes, err.Error()+"; the client's own default stands")
		case given || p.Preset == "":
			byFile = append(byFile, path)
		default:
			byPreset = append(byPreset, path)
		}
	}
	if len(byFile) > 0 {
		m.notes = append(m.notes, fmt.Sprintf("%s has no setting for %s, which %s sets; its own behaviour stands", d.Client, strings.Join(byFile, ", "), p.Name))
	}
	if len(byPreset) > 0 && !own {
		m.notes = append(m.notes, fmt.Sprintf("%s has no setting for what the preset %s has in %s; its own behaviour stands", d.Client, p.Preset, strings.Join(byPreset, ", ")))
	}
	return m, errors.Join(errs...)
}

// saidAt is the beginning of a complaint about a field of p's pool: where it was set, if
// that is known, and its path, unless the place is a flag that names it.
func saidAt(p *profiles.Profile, field string) string {
	path := "pool." + field
	switch place := p.Given[path].Text; {
	case place == "":
		return path + ": "
	case strings.HasPrefix(place, "--set "+path+"="):
		return place + ": "
	default:
		return place + ": " + path + ": "
	}
}

// availableIn lists the settings of a client as results have them.
func availableIn(h external.Hello) []results.DriverSetting {
	list := make([]results.DriverSetting, len(h.Settings))
	for i, s := range h.Settings {
		list[i] = results.DriverSetting{Name: s.Name, Kind: string(s.Kind), Default: s.Default, Pool: s.Pool, Values: s.Values, Words: s.Words}
	}
	return list
}
