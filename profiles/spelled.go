package profiles

import (
	"reflect"
	"strings"

	"github.com/kabench/kabench/internal/strictyaml"
	"github.com/kabench/kabench/profiles/settings"
	"github.com/kabench/kabench/results"
)

// Setting is a value of a pool in the words of a client.
type Setting = results.ClientSetting

// Spelled returns a value of one field of the pool in the words of the preset's client,
// in each way that the client has; the usual way comes first. The path is as in --set:
// pool.idle_timeout, or without pool. The value is a Go value of the field, or YAML as a profile has it.
// It is nil if the preset says nothing about the field, or if the value is not one.
func (p Preset) Spelled(path string, value any) []Setting {
	text, isText := value.(string)
	if v := reflect.ValueOf(value); !isText && v.IsValid() {
		text = strictyaml.ValueText(v)
	}
	return p.SpelledChange(map[string]string{"pool." + strings.TrimPrefix(path, "pool."): text})
}

// Ways returns the settings of p's client: p's own, or those of the preset SettingsOf.
func (p Preset) Ways() settings.Spellings {
	if of, found := FindPool(p.SettingsOf); found {
		return of.Settings
	}
	return p.Settings
}

// SpelledChange is Spelled for the fields of a change, as a remedy's: path -> value.
// Fields that are not of the pool are left out.
func (p Preset) SpelledChange(change map[string]string) (list []Setting) {
	changed, paths := settings.Change(p.Pool, change)
	for _, path := range paths {
		for _, s := range p.Ways().Spell(changed, path) {
			s.Client = p.Name
			list = append(list, s)
		}
	}
	return list
}

// UsualClients are the presets whose settings somebody gets who named no client.
func UsualClients() []string {
	return []string{"reactor-netty", "spring-webclient", "apache-hc5", "okhttp", "node-agent", "undici", "go-default-transport", "requests", "nginx-upstream"}
}

// Spelled returns what a change of p sets, in the words of the client whose preset p's
// pool began with; see [Preset.SpelledChange]. If it began with none, Spelled returns
// the usual way of each of UsualClients.
func (p *Profile) Spelled(change map[string]string) (list []Setting) {
	name := p.Preset
	if p.Client == ClientStock {
		name = "go-default-transport"
	}
	if preset, found := FindPool(name); found && preset.Client != "" {
		if p.Client != ClientStock {
			preset.Pool = p.Pool // with the values that differ from the preset's
		}
		return preset.SpelledChange(change)
	}
	for _, name := range UsualClients() {
		preset, _ := FindPool(name)
		told := map[string]bool{}
		for _, s := range preset.SpelledChange(change) {
			if !told[s.Path] {
				list, told[s.Path] = append(list, s), true
			}
		}
	}
	return list
}
