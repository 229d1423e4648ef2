package profiles_test

import (
	"fmt"

	"github.com/kabench/kabench/profiles"
)

// A profile is read onto the defaults; each further argument changes one field.
func ExampleLoad() {
	p, err := profiles.Load("mine.yaml", []byte(`
load:
  rate: 400/s
pool:
  preset: okhttp
  idle_timeout: 4s
target:
  url: http://127.0.0.1:8080/
`), []string{"pool.max_conns=none"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.Load.Rate, p.Load.Duration, p.Pool.IdleTimeout)
	for _, o := range profiles.Overrides(p) {
		fmt.Println(o.Path, "is", o.Run, "and", o.Preset, "in", p.Preset)
	}
	// Output:
	// 400/s 30s 4s
	// pool.max_conns is -1 and 5 in okhttp
	// pool.idle_timeout is 4s and 5m0s in okhttp
}

// All complaints come at once, each with its place and what to do.
func ExampleLoad_complaints() {
	_, err := profiles.Load("mine.yaml", []byte(`
load:
  rate: 400/s
  timeout: 10
pool:
  idle_timout: 4s
target:
  url: 127.0.0.1:8080
`), nil)
	fmt.Println(err)
	// Output:
	// mine.yaml:4:12: load.timeout: 10 has no unit; write "10s" or "10ms"
	// mine.yaml:6:3: pool.idle_timout: unknown key; did you mean idle_timeout?
	// mine.yaml:8:3: target.url: a URL must begin with http:// or https://
}

// A remedy is a change that clears an incident. With applies it.
func ExampleProfile_With() {
	incident, _ := profiles.Find("idle-race")
	p, err := profiles.Load(incident.Name, []byte(incident.Text), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("idle timeout of the client:", p.Pool.IdleTimeout, "and of the server:", p.Target.Lab.IdleTimeout)
	for _, r := range p.Remedies {
		changed, err := p.With(r)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(r.Name+":", changed.Pool.IdleTimeout)
	}
	// Output:
	// idle timeout of the client: 0s and of the server: 1s
	// idle_timeout below the server's: 500ms
}
