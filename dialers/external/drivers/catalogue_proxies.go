package drivers

// proxyDrivers are the drivers of proxies: each starts the proxy, and sends requests through it.
//
// They are one program in Go, which takes the name of the proxy as its argument. nginx and HAProxy are those of
// the machine; Envoy comes as a package of Python, which has Envoy's program in it.
var proxyDrivers = []Entry{
	{
		Name: "nginx", Client: "nginx", Language: Go,
		Preset:   []string{"nginx-upstream-old", "nginx-upstream"},
		Settings: map[string]map[string]any{"nginx-upstream": {"keepalive": 32, "proxy_http_version": "1.1"}},
		Note:     "the machine's nginx as a proxy; before 1.29.7 it keeps no upstream connection unless keepalive is set",
		Sources:  proxySources(), Args: []string{"nginx"}, Tools: []string{"nginx"},
	},
	{
		Name: "haproxy", Client: "HAProxy", Language: Go,
		Preset:  []string{"haproxy"},
		Note:    "the machine's HAProxy as a proxy, with one thread and the timeouts of the manual's examples",
		Sources: proxySources(), Args: []string{"haproxy"}, Tools: []string{"haproxy"},
	},
	{
		Name: "envoy", Client: "Envoy", Version: "1.40.0", Language: Go,
		Preset:  []string{"envoy"},
		Note:    "one worker, with the default circuit breakers",
		Sources: append(proxySources(), "proxies/envoy.txt=requirements.txt"), Args: []string{"envoy"},
	},
}

// proxySources are the sources of the driver of proxies.
func proxySources() []string {
	sources := goSources()
	for _, file := range []string{"main.go", "client.go", "process.go", "session.go", "alive_unix.go", "alive_other.go", "deathsig_linux.go", "deathsig_other.go", "nginx.go", "haproxy.go", "envoy.go"} {
		sources = append(sources, "proxies/"+file)
	}
	return sources
}
