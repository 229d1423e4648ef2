package fleet

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestAgentsGetTheirPlacesByName(t *testing.T) {
	got := []string{"agent-10", "b", "agent-2", "agent-02", "agent-1", "agent", "a9b2", "a9b10", "agent-1-x"}
	slices.SortFunc(got, compareNames)
	want := "a9b2 a9b10 agent agent-1 agent-1-x agent-02 agent-2 agent-10 b"
	if strings.Join(got, " ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, " "), want)
	}
}

// The order is one: every two names compare the same way round, and equal only themselves.
func TestNamesHaveOneOrder(t *testing.T) {
	name := rapid.StringMatching(`[ab0-9-]{0,6}`)
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := name.Draw(t, "a"), name.Draw(t, "b"), name.Draw(t, "c")
		if compareNames(a, b) != -compareNames(b, a) || (compareNames(a, b) == 0) != (a == b) {
			t.Fatalf("%q and %q: %d and %d", a, b, compareNames(a, b), compareNames(b, a))
		}
		if compareNames(a, b) < 0 && compareNames(b, c) < 0 && compareNames(a, c) >= 0 {
			t.Fatalf("%q < %q < %q, and yet not %q < %q", a, b, c, a, c)
		}
	})
}

func TestDefaultName(t *testing.T) {
	t.Setenv("JOB_COMPLETION_INDEX", "7")
	if got := DefaultName(); got != "agent-7" {
		t.Errorf("in an Indexed Job: %s", got)
	}
	t.Setenv("JOB_COMPLETION_INDEX", "")
	if err := CheckName(DefaultName()); err != nil {
		t.Error(err)
	}
}

func TestNamesThatAreRefused(t *testing.T) {
	for _, name := range []string{"", ".", "..", "a/b", "a b", "ü", strings.Repeat("a", 101), "a\n"} {
		if CheckName(name) == nil {
			t.Errorf("%q is taken", name)
		}
	}
	for _, name := range []string{"a", "agent-1", "host.example_2"} {
		if err := CheckName(name); err != nil {
			t.Error(err)
		}
	}
}
