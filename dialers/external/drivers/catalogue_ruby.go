package drivers

// ruby returns the sources of a driver in Ruby.
func ruby(name string) []string { return []string{"ruby/kit.rb", "ruby/" + name + ".rb"} }

// rubyDrivers are the drivers in Ruby. Their clients are those of the machine's Ruby.
var rubyDrivers = []Entry{
	{
		Name: "net-http", Client: "Net::HTTP", Language: Ruby,
		Preset:  []string{"ruby-net-http"},
		Note:    "an object for each thread, and the thread that waited longest takes the next request",
		Sources: ruby("net_http"), Main: "net_http.rb",
	},
	{
		Name: "net-http-persistent", Client: "net-http-persistent", Language: Ruby,
		Preset:  []string{"net-http-persistent"},
		Note:    "Debian has 3.1.0; the preset is of 4.0",
		Sources: ruby("net_http_persistent"), Main: "net_http_persistent.rb",
		Tools: []string{"ruby's net-http-persistent"},
	},
}
