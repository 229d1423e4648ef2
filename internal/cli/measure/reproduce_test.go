package measure

import (
	"slices"
	"testing"
	"time"

	"github.com/kabench/kabench/profiles"
)

// Only with several jobs the longest are begun first; each is begun once.
func TestInTurn(t *testing.T) {
	takes := []time.Duration{2, 5, 2, 9}
	if one, two := inTurn(takes, 1), inTurn(takes, 2); !slices.Equal(one, []int{0, 1, 2, 3}) || !slices.Equal(two, []int{3, 1, 0, 2}) {
		t.Errorf("one job: %v, two: %v", one, two)
	}
}

// With agents, the copies of the pool get the same requests as those of one process.
func TestDealt(t *testing.T) {
	p := profiles.Default()
	p.Pool.Shards = 12
	for _, agents := range []int{2, 3, 12} {
		d := dealt(&p, agents)
		each := max(d.Pool.Shards, 1)
		alone, dealtOut := map[int][]int{}, map[[2]int][]int{}
		for seq := range 100 {
			alone[seq%12] = append(alone[seq%12], seq)
			agent, turn := seq%agents, seq/agents
			place := [2]int{agent, turn % each}
			dealtOut[place] = append(dealtOut[place], seq)
		}
		if len(dealtOut) != 12 {
			t.Errorf("%d agents: %d copies", agents, len(dealtOut))
		}
		for place, got := range dealtOut {
			want := alone[got[0]]
			if len(got) != len(want) || got[1] != want[1] || got[len(got)-1] != want[len(want)-1] {
				t.Errorf("%d agents: copy %v gets the requests %v, want %v", agents, place, got, want)
			}
		}
	}
	if dealt(&p, 1) != &p || p.Pool.Shards != 12 {
		t.Error("one agent, or a changed profile")
	}
}
