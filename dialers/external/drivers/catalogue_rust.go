package drivers

// rustDrivers are the drivers in Rust. Their Cargo.toml pins all packages, those that
// others need too, so that no Cargo.lock is needed, which would name a registry.
var rustDrivers = []Entry{
	{
		Name: "reqwest", Client: "reqwest", Version: "0.13.5", Language: Rust,
		Preset:  []string{"hyper-reqwest"},
		Note:    "over hyper 1.12.0 and hyper-util 0.1.21",
		Sources: rustSources("reqwest"), Main: "reqwest-driver",
	},
	{
		Name: "ureq", Client: "ureq", Version: "3.5.2", Language: Rust,
		Preset:  []string{"ureq"},
		Note:    "blocking; as many threads as requests in flight",
		Sources: rustSources("ureq"), Main: "ureq-driver",
	},
}

// rustSources are the sources of a driver in Rust.
func rustSources(name string) []string {
	return []string{"rust/" + name + ".toml=Cargo.toml", "rust/" + name + ".rs=src/main.rs", "rust/kit.rs=src/kit.rs"}
}
