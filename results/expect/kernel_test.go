package expect

import (
	"strings"
	"testing"

	"github.com/kabench/kabench/results"
)

func TestKernelExpectations(t *testing.T) {
	counted := &results.Run{Kernel: results.Kernel{Available: true, Counters: map[string]uint64{"TW": 7}}}
	for _, tt := range []struct {
		run       *results.Run
		path, why string
		met       bool
	}{
		{counted, "kernel.TW", "", true},
		{counted, "kernel.OutRsts", "this kernel does not count it", false},
		{&results.Run{Kernel: results.Kernel{Why: "needs Linux"}}, "kernel.TW", "could not be read: needs Linux", false},
		{&results.Run{}, "kernel.TW", "could not be read", false},
	} {
		e := Check(tt.run, map[string]string{tt.path: ">= 0"})[0]
		if e.Met != tt.met || !strings.Contains(e.Why, tt.why) || (e.Why == "") != (tt.why == "") {
			t.Errorf("%s: %+v, want met %v and %q", tt.path, e, tt.met, tt.why)
		}
	}
	if _, err := Lookup(counted, "kernel.TCPAbortOnDate"); err == nil || !strings.Contains(err.Error(), "kernel.TCPAbortOnData") {
		t.Errorf("a misspelt counter: %v", err)
	}
}
