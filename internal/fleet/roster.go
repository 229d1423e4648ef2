package fleet

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// silence is how long nothing is heard of an agent before it is lost.
const silence = 10 * time.Second

// roster is the controller's list of agents. It knows no clock and no broker: it gets now
// with each question.
type roster struct {
	version string // of the controller's kabench
	want    int    // how many agents a run has
	members map[string]*member
	turned  map[string]turned // agents that asked and were refused
}

// turned is an agent that was refused.
type turned struct{ name, why string }

// member is an agent that is there, as far as the controller knows.
type member struct {
	identity
	clock clockState
	keeps []holding // runs in its directory
	at    *holding  // the run it is at; nil: none
	heard time.Time
}

func newRoster(version string, want int) *roster {
	return &roster{version: version, want: want, members: map[string]*member{}, turned: map[string]turned{}}
}

// hello adds an agent, or returns why it cannot take part.
func (r *roster) hello(h hello, now time.Time) (refused string) {
	if refused = r.refuse(h, now); refused != "" {
		if CheckName(h.Name) == nil && len(r.turned) < MostAgents { // else it could not be printed
			r.turned[h.Instance] = turned{h.Name, refused}
		}
		return refused
	}
	delete(r.turned, h.Instance)
	m := r.members[h.Instance]
	if m == nil {
		m = &member{}
		r.members[h.Instance] = m
	}
	m.identity, m.clock, m.keeps, m.heard = h.identity, h.Clock, h.Holds, now
	return ""
}

func (r *roster) refuse(h hello, now time.Time) string {
	if h.Protocol != protocol || h.Version != r.version {
		return fmt.Sprintf("it is kabench %s, and the controller is kabench %s; start the same version everywhere", named(h.Version), named(r.version))
	}
	if err := CheckName(h.Name); err != nil {
		return err.Error()
	}
	for instance, m := range r.members {
		if m.Name != h.Name || instance == h.Instance {
			continue
		}
		if now.Sub(m.heard) <= silence && !succeeds(h, m) {
			return fmt.Sprintf("another agent is called %s (process %d on %s); give this one a --name of its own", m.Name, m.PID, m.Host)
		}
		delete(r.members, instance) // it has ended, and this is the same agent started again
	}
	return ""
}

// succeeds reports whether an agent has the run in its directory that an older process of
// that name was at. A directory is locked by its process, so that process has ended.
func succeeds(h hello, old *member) bool {
	return old.at != nil && slices.ContainsFunc(h.Holds, func(kept holding) bool {
		return kept.Run == old.at.Run && kept.Index == old.at.Index
	})
}

// beat notes what an agent says. An agent that has not said hello is not listed.
func (r *roster) beat(b beat, now time.Time) (m *member, known bool) {
	m, known = r.members[b.Instance]
	if known {
		m.clock, m.at, m.heard = b.Clock, b.Holds, now
	}
	return m, known
}

// away removes the agents that were not heard of for so long that they are gone.
func (r *roster) away(now time.Time) {
	for instance, m := range r.members {
		if now.Sub(m.heard) > silence {
			delete(r.members, instance)
		}
	}
}

// free lists the agents that can begin a run, in the order of their places.
func (r *roster) free() []*member {
	var list []*member
	for _, m := range r.members {
		if m.at == nil || m.at.Stage == stageFailed || m.at.Stage == stageDelivered {
			list = append(list, m)
		}
	}
	slices.SortFunc(list, func(a, b *member) int { return compareNames(a.Name, b.Name) })
	return list
}

// waiting says how far the roll call has come: "3 of 4 (a, b, c)".
func (r *roster) waiting() string {
	free := r.free()
	text := fmt.Sprintf("%d of %d", min(len(free), r.want), r.want)
	if len(free) > 0 {
		text += " (" + names(free) + ")"
	}
	return text
}

// tooFew is why a run cannot begin, when nobody else comes.
func (r *roster) tooFew(waited time.Duration) error {
	free := r.free()
	text := fmt.Sprintf("%d of %d agents came within %v", len(free), r.want, waited)
	if len(free) > 0 {
		text += ": " + names(free)
	}
	refused := slices.SortedFunc(maps.Values(r.turned), func(a, b turned) int { return compareNames(a.name, b.name) })
	for _, t := range refused {
		text += fmt.Sprintf("; %s was refused: %s", t.name, t.why)
	}
	if busy := len(r.members) - len(free); busy > 0 {
		text += fmt.Sprintf("; %d more are at another run", busy)
	}
	return fmt.Errorf("%s. Nothing was sent. Start more agents ('kabench agent --join'), wait longer (--wait), or ask for fewer (--agents)", text)
}

// mostNamed is how many names a sentence lists.
const mostNamed = 10

func names(list []*member) string {
	var all []string
	for _, m := range list {
		all = append(all, m.Name)
	}
	return someOf(all)
}

func someOf(all []string) string {
	if len(all) > mostNamed {
		return fmt.Sprintf("%s and %d more", strings.Join(all[:mostNamed], ", "), len(all)-mostNamed)
	}
	return strings.Join(all, ", ")
}

func named(version string) string {
	if version == "" {
		return "of an unknown version"
	}
	return version
}

// DefaultName is an agent's name if its command line gives none: the index of its pod in an
// Indexed Job of Kubernetes, or the name of the host with the process's number.
func DefaultName() string {
	if index := os.Getenv("JOB_COMPLETION_INDEX"); index != "" {
		return "agent-" + index
	}
	host, err := os.Hostname()
	if err != nil {
		host = "agent"
	}
	return fmt.Sprintf("%s-%d", host, os.Getpid())
}

// CheckName complains about a name that is of no use: names are printed, and stand in paths.
func CheckName(name string) error {
	ok := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.", r)
	}
	if name == "" || len(name) > 100 || strings.IndexFunc(name, func(r rune) bool { return !ok(r) }) >= 0 || strings.Trim(name, ".") == "" {
		return fmt.Errorf("the name %q of an agent: want 1 to 100 letters, digits, '-', '_' and '.'", name)
	}
	return nil
}

// compareNames puts names into the order in which agents get their places. Numbers in them
// compare as numbers: agent-2 comes before agent-10.
func compareNames(a, b string) int {
	x, y := a, b
	for x != "" && y != "" {
		dx, dy := digits(x), digits(y)
		if dx > 0 && dy > 0 {
			nx, ny := strings.TrimLeft(x[:dx], "0"), strings.TrimLeft(y[:dy], "0")
			if c := cmp.Or(cmp.Compare(len(nx), len(ny)), cmp.Compare(nx, ny)); c != 0 {
				return c
			}
			x, y = x[dx:], y[dy:]
			continue
		}
		if x[0] != y[0] {
			return cmp.Compare(x[0], y[0])
		}
		x, y = x[1:], y[1:]
	}
	return cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(a, b))
}

// digits is how many bytes at the beginning of s are digits.
func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}
