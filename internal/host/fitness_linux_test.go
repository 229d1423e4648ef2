package host

import (
	"os"
	"testing"
	"time"
)

// A sleep never ends early, and each one is measured.
func TestLatenessIsNeverNegative(t *testing.T) {
	late := SleepLateness(20, time.Millisecond)
	for _, d := range late {
		if d <= 0 {
			t.Errorf("%v late", d)
		}
	}
	if len(late) != 20 {
		t.Errorf("%d sleeps", len(late))
	}
	if ClockCost(1000) <= 0 {
		t.Error("reading the clock took no time")
	}
}

func TestTryNamespacesRunsInItsOwn(t *testing.T) {
	const child = "KABENCH_TEST_NETNS"
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	if outer := os.Getenv(child); outer != "" {
		if own == outer {
			t.Fatal("in the network namespace of its parent")
		}
		return
	}
	t.Setenv(child, own)
	n := TryNamespaces("-test.run=^TestTryNamespacesRunsInItsOwn$")
	if n.Err != nil && os.Getenv("CI") == "" {
		t.Skip(n.Err)
	}
	if n.Err != nil {
		t.Error(n.Err)
	}
	if again := TryNamespaces("-test.run=[", "-test.v"); again.Err == nil {
		t.Error("a child that fails is taken for one that runs")
	}
}

func TestFitness(t *testing.T) {
	f := ReadFitness()
	if f.Clocksource == "" {
		t.Error("no clocksource")
	}
	if c := f.Conntrack; c != nil && (c.Max <= 0 || c.Count < 0) {
		t.Errorf("%+v", c)
	}
}
