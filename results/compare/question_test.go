package compare

import (
	"testing"

	"github.com/kabench/kabench/results"
)

func TestQuestion(t *testing.T) {
	of := func(profile string, agents int) [2]string {
		t.Helper()
		q, s, err := Question(&results.Run{Name: "n", Profile: []byte(profile), Agents: make([]results.Agent, agents)})
		if err != nil {
			t.Fatal(err)
		}
		return [2]string{q, s}
	}
	const plain = `{"name":"n","load":{"rate":"100/s","seed":1},"pool":{"max_conns":5},"target":{"url":"http://a/"}}`
	first := of(plain, 0)
	for name, tt := range map[string]struct {
		profile           string
		agents            int
		question, setting bool // the same as first's
	}{
		"the same":            {plain, 0, true, true},
		"another seed":        {`{"name":"n","load":{"rate":"100/s","seed":2},"pool":{"max_conns":5},"target":{"url":"http://a/"}}`, 0, true, true},
		"expectations":        {`{"name":"n","load":{"rate":"100/s"},"pool":{"max_conns":5},"target":{"url":"http://a/"},"expect":{"failures":"0"}}`, 0, true, true},
		"a new field, unused": {`{"name":"n","load":{"rate":"100/s","burst":0},"pool":{"max_conns":5,"lifo":false},"target":{"url":"http://a/"}}`, 0, true, true},
		"one agent":           {plain, 1, true, true},
		"another pool":        {`{"name":"n","load":{"rate":"100/s"},"pool":{"max_conns":6},"target":{"url":"http://a/"}}`, 0, true, false},
		"two agents":          {plain, 2, true, false},
		"another rate":        {`{"name":"n","load":{"rate":"200/s"},"pool":{"max_conns":5},"target":{"url":"http://a/"}}`, 0, false, false},
		"another target":      {`{"name":"n","load":{"rate":"100/s"},"pool":{"max_conns":5},"target":{"url":"http://b/"}}`, 0, false, false},
		"another name":        {`{"name":"m","load":{"rate":"100/s"},"pool":{"max_conns":5},"target":{"url":"http://a/"}}`, 0, false, false},
	} {
		got := of(tt.profile, tt.agents)
		if (got[0] == first[0]) != tt.question || (got[1] == first[1]) != tt.setting {
			t.Errorf("%s: the same question %v, and setting %v", name, got[0] == first[0], got[1] == first[1])
		}
	}
	if _, _, err := Question(&results.Run{Profile: []byte(`{`)}); err == nil {
		t.Error("a damaged profile is taken")
	}
}
