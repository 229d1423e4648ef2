package results

// ClientSetting is a value of the pool in the words of a real client: what its user writes,
// and where. It has either a Text or the reason why there is none, Instead.
type ClientSetting struct {
	Client string `json:"client"`         // the pool's preset, as --pool takes it
	Path   string `json:"path"`           // the field in a profile: pool.idle_timeout
	Value  string `json:"value"`          // the value that the client then has; a time may be shorter than asked for
	In     string `json:"in"`             // where it is written: Java, nginx.conf, ...
	Text   string `json:"text,omitempty"` // the line, property or option
	// Instead says why the client cannot be set so, and what its users do.
	Instead   string `json:"instead,omitempty"`
	Note      string `json:"note,omitempty"` // what else the setting does
	Versions  string `json:"versions"`       // the client's versions that have it
	Source    string `json:"source"`         // the file or page that says so
	Unchecked bool   `json:"unchecked,omitempty"`
}
