package fleet

import (
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/fleet/broker"
)

func TestABrokerHasOneController(t *testing.T) {
	t.Parallel()
	nc, err := broker.Dial(t.Context(), meet(t), nil, "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	const lasts = 2 * time.Second
	first, err := takeBroker(t.Context(), nc, claim{Instance: "1", Host: "h", PID: 77}, lasts, func() {})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * lasts) // it stays by saying so
	if _, err := takeBroker(t.Context(), nc, claim{Instance: "2"}, lasts, func() {}); err == nil || !strings.Contains(err.Error(), "another controller uses this broker (process 77 on h)") {
		t.Errorf("a second controller: %v", err)
	}
	if _, err := takeBroker(t.Context(), nc, claim{Instance: "2", Run: "x"}, lasts, func() {}); err == nil {
		t.Error("a run was taken up whose controller lives")
	}
	first.release()
	second, err := takeBroker(t.Context(), nc, claim{Instance: "2"}, lasts, func() {})
	if err != nil {
		t.Fatal(err)
	}
	second.cancel() // as if it had been killed
	began := time.Now()
	third, err := takeBroker(t.Context(), nc, claim{Instance: "3", Run: "x"}, lasts, func() {})
	if err != nil {
		t.Fatalf("the run could not be taken up after %v: %v", time.Since(began), err)
	}
	third.release()
}
