// Package external has the process of a driver: a real HTTP client that kabench tells when
// to send what.
package external

// Command starts a driver.
type Command struct {
	Name string
	Argv []string
	Dir  string
	Env  []string // added to the process's own
}
