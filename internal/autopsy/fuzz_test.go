package autopsy

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzExamine judges arbitrary bytes: the verdict is whole, can be written, and has a
// reason for each statement; or the error is one line.
func FuzzExamine(f *testing.F) {
	small := &world{}
	c := small.open(0)
	c.exchange(trip, "/a")
	c.races(trip*100, trip/4, "/late")
	for _, file := range []string{small.capture(f, true, 0, 0), small.capture(f, false, 0, 60)} {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	path := filepath.Join(f.TempDir(), "capture")
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		v, err := Examine(Options{Files: []string{path}})
		if err != nil {
			if err.Error() == "" || strings.Contains(err.Error(), "\n") {
				t.Errorf("%q", err)
			}
			return
		}
		if v.Headline == "" || v.Found != (len(v.Failures) > 0) {
			t.Errorf("%q, %d failures", v.Headline, len(v.Failures))
		}
		for i := range v.Failures {
			if f := &v.Failures[i]; f.Why == "" || f.Sentence() == "" {
				t.Errorf("%+v", f)
			}
		}
		v.Counts()
		for i := range v.Clients {
			v.Clients[i].Sentence()
		}
		if _, err := json.Marshal(v); err != nil {
			t.Error(err)
		}
	})
}
