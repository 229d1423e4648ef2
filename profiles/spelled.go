package profiles

import (
	"reflect"
	"slices"
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

// SpelledChange is Spelled for the fields of a change, as a remedy's: path -> value.
// Fields that are not of the pool are left out.
func (p Preset) SpelledChange(change map[string]string) (list []Setting) {
	ways := p.Settings
	if of, found := FindPool(p.SettingsOf); found {
		ways = of.Settings
	}
	changed, paths := settings.Change(p.Pool, change)
	for _, path := range paths {
		for _, s := range ways.Spell(changed, path) {
			s.Client = p.Name
			if !slices.Contains(list, s) {
				list = append(list, s)
			}
		}
	}
	return list
}

// UsualClients are the presets whose settings are told to somebody who named no client.
func UsualClients() []string {
	return []string{"reactor-netty", "spring-webclient", "apache-hc5", "okhttp", "node-agent", "undici", "go-default-transport", "requests", "nginx-upstream"}
}

// SettingsFor returns what a change sets, in the words of the client whose preset the
// pool began with. Without a preset it returns the usual way of each of UsualClients.
func SettingsFor(preset string, change map[string]string) (list []Setting) {
	if p, found := FindPool(preset); found && p.Client != "" {
		return p.SpelledChange(change)
	}
	for _, name := range UsualClients() {
		p, _ := FindPool(name)
		told := map[string]bool{}
		for _, s := range p.SpelledChange(change) {
			if !told[s.Path] {
				list, told[s.Path] = append(list, s), true
			}
		}
	}
	return list
}
