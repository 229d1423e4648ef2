package drivers

// ruby returns the sources of a driver in Ruby.
func ruby(name string) []string { return []string{"ruby/kit.rb", "ruby/" + name + ".rb"} }

// rubyDrivers are the drivers in Ruby. Their clients are those of the machine's Ruby.
var rubyDrivers = []Entry{
	{
		Name: "net-http", Client: "Net::HTTP", Language: Ruby,
		Preset:  []string{"ruby-net-http"},
		Note:    "a started object for each of its `threads`, by default 1, one request after another; others wait in the driver",
		Sources: ruby("net_http"), Main: "net_http.rb",
	},
	{
		Name: "net-http-persistent", Client: "net-http-persistent", Language: Ruby,
		Preset:  []string{"net-http-persistent"},
		Note:    "the machine's; Debian has 3.1.0",
		Sources: ruby("net_http_persistent"), Main: "net_http_persistent.rb",
		Tools: []string{"ruby's net-http-persistent"},
	},
}
