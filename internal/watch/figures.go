package watch

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Figures are the values that conditions may ask for, by their path. Counts are since
// the watch began; the others are those of this moment. Gauges that the service does not
// export are absent.
func (w *Watch) Figures() map[string]float64 {
	now, s := w.point(), &w.Sum
	f := map[string]float64{
		"connections":      float64(now.Idle + now.Leased + now.Stale + now.Opening + now.Accepted),
		"connections.idle": float64(now.Idle), "connections.leased": float64(now.Leased), "connections.stale": float64(now.Stale),
		"connections.accepted": float64(now.Accepted), "requests": float64(s.Requests), "failures": float64(s.Failures), "closes": float64(now.Closes),
		"resets": float64(s.Resets["sent"] + s.Resets["received"]), "resets.sent": float64(s.Resets["sent"]), "resets.received": float64(s.Resets["received"]),
		"retransmits": float64(s.Retransmits),
		"time_wait":   float64(now.TimeWait[0] + now.TimeWait[1]), "time_wait.opened": float64(now.TimeWait[0]), "time_wait.accepted": float64(now.TimeWait[1]),
		"ports": float64(now.Ports),
	}
	if now.Range > 0 {
		f["ports.left"] = float64(now.Range - now.Ports)
	}
	for _, met := range []string{"crossed", "arrived", "late", "forgotten", "abandoned", "lost"} {
		f["failures."+met] = float64(s.Met[met])
	}
	for _, side := range []string{"client", "server", "middle"} {
		f["closes."+side] = float64(s.Closes[side])
	}
	for _, kind := range []string{"fin", "rst", "close_notify", "silent"} {
		f["closes."+kind] = float64(s.Kinds[kind])
	}
	for name, v := range map[string]float64{"pool.idle": now.SaysIdle, "pool.leased": now.SaysLease, "pool.pending": now.Pending, "pool.max": now.Max} {
		if v >= 0 {
			f[name] = v
		}
	}
	return f
}

// grows are the first words of the paths of counts since the beginning.
var grows = []string{"requests", "failures", "closes", "resets", "retransmits"}

// Grows reports whether the figure at a path is a count since the beginning.
func Grows(path string) bool {
	head, _, _ := strings.Cut(path, ".")
	return slices.Contains(grows, head)
}

// Paths lists the paths that there may be.
func Paths() []string {
	w := New(nil, nil)
	f := w.Figures()
	for _, name := range []string{"ports.left", "pool.idle", "pool.leased", "pool.pending", "pool.max"} {
		f[name] = 0
	}
	return slices.Sorted(maps.Keys(f))
}

// Layers says in a sentence each what the layers see and lack.
func Layers(list []Sees) (says []string) {
	for _, s := range list {
		text := s.Says
		if !s.On {
			text = "off"
		}
		if s.Lacks != "" {
			text += "; lacks " + s.Lacks
		}
		if s.Lost > 0 {
			text += fmt.Sprintf("; %d events were lost", s.Lost)
		}
		says = append(says, fmt.Sprintf("%s: %s", s.Layer, text))
	}
	return says
}

var layerNames = [...]string{"sockets", "gauges", "kernel", "packets"}

func (l Layer) String() string { return layerNames[l] }
