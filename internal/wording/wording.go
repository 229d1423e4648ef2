package wording

import (
	_ "embed"
	"slices"
	"strings"
	"sync"

	"github.com/kabench/kabench/results"
)

//go:embed wordings.yaml
var embedded []byte

//go:embed clients.yaml
var embeddedClients []byte

//go:embed others.yaml
var embeddedOthers []byte

//go:embed codes.yaml
var embeddedCodes []byte

// Wording is one text that one client or proxy writes, and what it means.
type Wording struct {
	Client       string    `json:"client"`      // family: reactor-netty, go, nginx, ...
	ClientName   string    `json:"client_name"` // as people write the name
	Text         string    `json:"text"`        // as For returns it
	Pattern      string    `json:"pattern,omitempty"`
	Example      string    `json:"example,omitempty"` // a line of a log
	Outcomes     []Outcome `json:"outcomes"`          // the most frequent one first
	Reused       string    `json:"reused"`            // yes, no or unknown: whether the connection had carried a request before
	Proves       string    `json:"proves"`
	DoesNotProve string    `json:"does_not_prove,omitempty"`
	Check        string    `json:"check"`
	Incidents    []string  `json:"incidents,omitempty"` // the incidents that show the mechanism
	Setting      string    `json:"setting,omitempty"`   // what to set, and what it costs
	Source       string    `json:"source"`
	Versions     string    `json:"versions,omitempty"` // the versions in which it was seen or read
	Silent       bool      `json:"silent,omitempty"`   // the client logs nothing; Text says why

	class      class  // of the exception
	classAlone bool   // the class alone decides, without its message
	alone      bool   // the pattern counts only as a separate message
	http2      bool   // of HTTP/2, which kabench does not speak; For leaves it out
	wrapper    bool   // the text carries another one that says what happened
	bare       bool   // the pattern is an errno's text, which every client writes
	code       string // the code in a proxy's access log; | separates several with one meaning
	advice     string // the setting, before the client's own name for it is put in
	values     []value
	parts      []part // the compiled pattern
}

// Fields are the fields of a pool that Setting is about, as paths of a profile: the
// idle timeout, or what lets a request wait for a connection. There may be none.
func (w Wording) Fields() []string {
	switch {
	case strings.Contains(w.advice, "{idle}"):
		return []string{"pool.idle_timeout"}
	case w.Setting == "" || len(w.Outcomes) == 0:
		return nil
	case w.Outcomes[0] == Outcome{results.PhaseAcquire, results.CauseQueueFull}:
		return []string{"pool.max_conns", "pool.pending_max"}
	case w.Outcomes[0] == Outcome{results.PhaseAcquire, results.CauseTimeout}:
		return []string{"pool.max_conns", "pool.pending_timeout"}
	}
	return nil
}

// Outcome is where and why an exchange ended.
type Outcome struct {
	Phase results.Phase `json:"phase"`
	Cause results.Cause `json:"cause"`
}

func (o Outcome) String() string {
	if o.Cause == results.CauseNone {
		return o.Phase.String()
	}
	return o.Phase.String() + " / " + o.Cause.String()
}

// value is what a number in the text shows.
type value struct {
	Of     string `yaml:"of"`
	Is     string `yaml:"is"`
	Means  string `yaml:"means"`
	Reused string `yaml:"reused"` // yes or no, if the number shows it
}

// document is the content of one of the files, or of all together.
type document struct {
	Clients  map[string]client  `yaml:"clients"`
	Meanings map[string]meaning `yaml:"meanings"`
	Wordings []entry            `yaml:"wordings"`
	Errnos   []*errno           `yaml:"errnos"`
}

// meaning is what texts of several clients have in common.
type meaning struct {
	Proves       string   `yaml:"proves"`
	DoesNotProve string   `yaml:"does_not_prove"`
	Check        string   `yaml:"check"`
	Incidents    []string `yaml:"incidents"`
	Setting      string   `yaml:"setting"` // {idle} stands for the client's setting of the longest idle time
}

type entry struct {
	Client     string   `yaml:"client"`
	Class      string   `yaml:"class"`
	ClassAlone bool     `yaml:"class_alone"`
	Pattern    string   `yaml:"pattern"`
	Alone      bool     `yaml:"alone"`
	Wrapper    bool     `yaml:"wrapper"`
	HTTP2      bool     `yaml:"http2"`
	Code       string   `yaml:"code"`   // of a proxy's access log, instead of a pattern
	Silent     string   `yaml:"silent"` // why the client logs nothing
	Example    string   `yaml:"example"`
	Outcomes   []string `yaml:"outcomes"`
	Reused     string   `yaml:"reused"`
	Meaning    string   `yaml:"meaning"`
	Values     []value  `yaml:"values"`
	Source     string   `yaml:"source"`
	Versions   string   `yaml:"versions"`
	Note       string   `yaml:"note"`    // added to the meaning's Proves
	Own        meaning  `yaml:",inline"` // instead of the meaning's fields
}

// library is the document, compiled.
type library struct {
	wordings []Wording
	families []string // sorted
	clients  map[string]client
	systems  systems
}

// known is compiled from the embedded files. A test checks them.
var known = sync.OnceValue(func() library {
	l, err := compile(embeddedClients, embeddedFaults, embedded, embeddedOthers, embeddedCodes)
	if err != nil {
		panic("the wordings: " + err.Error())
	}
	return l
})

// All lists every wording known, in the order of wordings.yaml.
func All() []Wording { return slices.Clone(known().wordings) }

// Family returns the client whose name a pool preset's name begins with, such as
// apache-hc5 for apache-hc5-classic; "" if there is none.
func Family(preset string) string {
	best := ""
	for _, f := range known().families {
		if (preset == f || strings.HasPrefix(preset, f+"-")) && len(f) > len(best) {
			best = f
		}
	}
	return best
}

// For returns the texts that the log of a client has for an outcome: one or several
// possible texts, or a remark in parentheses if the client logs nothing. client is a
// family or a pool preset's name. There is none if no text of the client stands for
// the outcome. A close_notify without a text of its own is treated as a FIN, because
// clients handle both alike.
func For(client string, phase results.Phase, cause results.Cause, reused bool) []string {
	family, contrary := Family(client), "yes"
	if reused {
		contrary = "no"
	}
	var texts []string
	for _, w := range known().wordings {
		if w.Client == family && !w.http2 && w.Reused != contrary && slices.Contains(w.Outcomes, Outcome{phase, cause}) && !slices.Contains(texts, w.Text) {
			texts = append(texts, w.Text)
		}
	}
	if len(texts) == 0 && cause == results.CauseCloseNotify {
		return For(client, phase, results.CauseFIN, reused)
	}
	return texts
}
