package kabench

import (
	"testing"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/expect"
)

// The names of the reasons for an eviction stand in the pool, which knows no
// results, and in expect, which knows no pool.
func TestEveryReasonForAnEvictionIsAPath(t *testing.T) {
	for reason := pool.Keep + 1; int(reason) < pool.NumReasons; reason++ {
		if _, err := expect.Lookup(&results.Run{}, "connections.evictions."+reason.String()); err != nil {
			t.Errorf("expect does not know the reason %v: %v", reason, err)
		}
	}
}
