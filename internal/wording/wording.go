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
	ClientName   string    `json:"client_name"` // as people write it
	Text         string    `json:"text"`        // as For gives it
	Pattern      string    `json:"pattern,omitempty"`
	Example      string    `json:"example,omitempty"` // as in a log
	Outcomes     []Outcome `json:"outcomes"`          // the usual one first
	Reused       string    `json:"reused"`            // yes, no or unknown: whether the connection had served a request before
	Proves       string    `json:"proves"`
	DoesNotProve string    `json:"does_not_prove,omitempty"`
	Check        string    `json:"check"`
	Incidents    []string  `json:"incidents,omitempty"` // those that show the mechanism
	Setting      string    `json:"setting,omitempty"`   // what to set, and what it costs
	Source       string    `json:"source"`
	Versions     string    `json:"versions,omitempty"` // those it was seen or read in
	Silent       bool      `json:"silent,omitempty"`   // the log has nothing: Text says why

	class      class  // of the exception
	classAlone bool   // the class tells, without its message
	alone      bool   // the pattern counts only as a message of its own
	http2      bool   // of HTTP/2 only, which kabench does not speak: not for For
	wrapper    bool   // the text carries another one, which says what happened
	bare       bool   // the pattern is an errno's text, which every client writes
	code       string // of a proxy's access log; | between several of one meaning
	advice     string // the setting, before the client's own is put in
	values     []value
	parts      []part // the compiled pattern
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

// value is what a number in the text gives away.
type value struct {
	Of     string `yaml:"of"`
	Is     string `yaml:"is"`
	Means  string `yaml:"means"`
	Reused string `yaml:"reused"` // yes or no, where the number tells
}

// document is one of the files, or all of them together.
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
	Setting      string   `yaml:"setting"` // {idle} is the client's setting for the longest idle time
}

type entry struct {
	Client     string   `yaml:"client"`
	Class      string   `yaml:"class"`
	ClassAlone bool     `yaml:"class_alone"`
	Pattern    string   `yaml:"pattern"`
	Alone      bool     `yaml:"alone"`
	Wrapper    bool     `yaml:"wrapper"`
	HTTP2      bool     `yaml:"http2"`
	Code       string   `yaml:"code"`   // of a proxy's access log, in place of a pattern
	Silent     string   `yaml:"silent"` // why the log has nothing
	Example    string   `yaml:"example"`
	Outcomes   []string `yaml:"outcomes"`
	Reused     string   `yaml:"reused"`
	Meaning    string   `yaml:"meaning"`
	Values     []value  `yaml:"values"`
	Source     string   `yaml:"source"`
	Versions   string   `yaml:"versions"`
	Note       string   `yaml:"note"`    // added to what the meaning proves
	Own        meaning  `yaml:",inline"` // in place of what the meaning says
}

// library is the document, compiled.
type library struct {
	wordings []Wording
	families []string // sorted
	clients  map[string]client
	systems  systems
}

// known is compiled from the embedded files, which a test holds to be sound.
var known = sync.OnceValue(func() library {
	l, err := compile(embeddedClients, embeddedFaults, embedded, embeddedOthers, embeddedCodes)
	if err != nil {
		panic("the wordings: " + err.Error())
	}
	return l
})

// All lists every wording known, in the order of wordings.yaml.
func All() []Wording { return slices.Clone(known().wordings) }

// Family is the client that a pool preset's name begins with, as apache-hc5 for
// apache-hc5-classic; "" when there is none.
func Family(preset string) string {
	best := ""
	for _, f := range known().families {
		if (preset == f || strings.HasPrefix(preset, f+"-")) && len(f) > len(best) {
			best = f
		}
	}
	return best
}

// For is what the log of a client would have said for an outcome: one text or
// several possible ones, or a remark in parentheses where it says nothing. The
// client is a family or a pool preset's name. An outcome that no text of the
// client stands for gives none; but a close_notify is to a client, unless it has
// words for it, the end that a FIN is.
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
