package capacity

import (
	"testing"

	"github.com/kabench/kabench/profiles"
)

// load is the profile of that name, or without a name the one that sets make.
func load(t *testing.T, name string, sets ...string) *profiles.Profile {
	t.Helper()
	text := ""
	if name != "" {
		found, ok := profiles.Find(name)
		if !ok {
			t.Fatal(profiles.NotFound(name))
		}
		text = found.Text
	}
	p, err := profiles.Load(name, []byte(text), sets)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
