package drivers

// node returns the sources of a driver in Node.js: the kit, and these files.
func node(files ...string) []string {
	sources := []string{"node/kit.mjs"}
	for _, f := range files {
		sources = append(sources, "node/"+f+".mjs")
	}
	return sources
}

// packed adds the packages of npm, at the versions of the lock file.
func packed(sources []string) []string {
	return append(sources, "node/package.json", "node/package-lock.json")
}

// nodeDrivers are the drivers in Node.js. Where Version is empty, the client is a part of
// the machine's Node.js.
var nodeDrivers = []Entry{
	{
		Name: "node-agent", Client: "Node http.Agent", Language: Node,
		Preset:  []string{"node-agent"},
		Note:    "new http.Agent({keepAlive: true})",
		Sources: node("agents", "node-agent"), Main: "node-agent.mjs",
	},
	{
		Name: "node-globalagent", Client: "Node http.globalAgent", Language: Node,
		Preset:  []string{"node-globalagent"},
		Note:    "http.request() without an agent; Node.js 19 or later keeps its connections",
		Sources: node("agents", "node-globalagent"), Main: "node-globalagent.mjs",
	},
	{
		Name: "agentkeepalive", Client: "agentkeepalive", Version: "4.6.0", Language: Node,
		Preset:  []string{"agentkeepalive"},
		Sources: packed(node("agents", "agentkeepalive")), Main: "agentkeepalive.mjs",
	},
	{
		Name: "undici", Client: "undici", Version: "7.30.2", Language: Node,
		Preset:  []string{"undici"},
		Note:    "request() with an Agent; needs Node.js 20.18.1 or later",
		Sources: packed(node("undici-settings", "undici")), Main: "undici.mjs",
	},
	{
		Name: "fetch", Client: "fetch of Node", Language: Node,
		Preset:  []string{"undici"},
		Note:    "the global fetch(), with the undici that is inside Node.js",
		Sources: node("undici-settings", "fetch"), Main: "fetch.mjs",
	},
	{
		Name: "axios", Client: "axios", Version: "1.21.1", Language: Node,
		Preset: []string{"node-globalagent", "node-agent"},
		Note:   "without an agent; a setting makes an http.Agent with keepAlive",
		Settings: map[string]map[string]any{
			"node-agent": {"keepAlive": true},
		},
		Sources: packed(node("agents", "axios")), Main: "axios.mjs",
	},
	{
		Name: "got", Client: "got", Version: "14.6.6", Language: Node,
		Preset: []string{"got", "node-globalagent", "node-agent"},
		Note:   "without an agent, and with its 2 retries; a setting of the pool makes an http.Agent with keepAlive",
		Settings: map[string]map[string]any{
			"node-globalagent": {"retry": 0},
			"node-agent":       {"retry": 0, "keepAlive": true},
		},
		Sources: packed(node("agents", "got")), Main: "got.mjs",
	},
}
