package watching

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/kabench/kabench/internal/autopsy"
	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/cli/verdict"
	"github.com/kabench/kabench/internal/host"
	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/internal/terminal"
	"github.com/kabench/kabench/internal/watch"
	"github.com/kabench/kabench/results"
)

// Schema names the format of a Document.
const Schema = "kabench.watch/v1"

// Document is what 'kabench watch --json' prints, and what is kept as watch.json. Times are
// in seconds since Begin.
type Document struct {
	Schema      string                `json:"schema"`
	Version     string                `json:"version"`
	Begin       time.Time             `json:"begin"`
	Length      float64               `json:"length"`
	Service     Service               `json:"service"`
	Layers      []Layer               `json:"layers"`
	Condition   string                `json:"condition,omitempty"` // that has just held, in results of --until
	Held        int                   `json:"held,omitempty"`      // how often it has
	Totals      watch.Sum             `json:"totals"`
	Idle        map[string]watch.Idle `json:"idle"` // before the close, by the side that closed first
	Pools       []Pool                `json:"pools,omitempty"`
	Pool        watch.Point           `json:"last"` // the state at the end
	Says        []string              `json:"says"` // about the pool, its sockets and the ports
	Cost        Cost                  `json:"cost"`
	Verdict     *verdict.Found        `json:"verdict"` // as 'kabench autopsy --json' prints it
	Notes       []string              `json:"notes,omitempty"`
	Interrupted bool                  `json:"interrupted,omitempty"` // before --for was over
}

// Service is what was watched.
type Service struct {
	PIDs    []int    `json:"pids,omitempty"`
	Name    string   `json:"name,omitempty"`
	Targets []string `json:"targets,omitempty"`
	Listens []string `json:"listens,omitempty"`
}

// Layer is what a layer saw.
type Layer struct {
	Layer string `json:"layer"`
	On    bool   `json:"on"`
	Says  string `json:"says"`
	Lacks string `json:"lacks,omitempty"`
	Lost  uint64 `json:"lost,omitempty"`
}

// Pool has the newest gauges of a pool; those that are not exported are left out.
type Pool struct {
	Name    string   `json:"name"`
	Idle    *float64 `json:"idle,omitempty"`
	Leased  *float64 `json:"leased,omitempty"`
	Pending *float64 `json:"pending,omitempty"`
	Max     *float64 `json:"max,omitempty"`
}

// Cost is what the watch took.
type Cost struct {
	CPU     float64 `json:"cpu"`   // seconds of processor time
	Share   float64 `json:"share"` // of one core
	Looks   int     `json:"looks"`
	Slowest float64 `json:"slowest_look"` // seconds of processor time
}

// document judges what is known now. condition is what has just held; "": none.
func (d *session) document(condition string) (*Document, error) {
	sees := d.sees
	if sees == nil {
		sees = d.layers.sees()
	}
	length := d.now()
	live := autopsy.Live{
		Begin: d.began, Length: length, Connections: d.ring.Connections(), Left: d.ring.Left, Segments: d.w.Sum.Segments,
		Notes: d.notes, Cannot: cannot(sees),
	}
	found := &verdict.Found{Verdict: autopsy.Judge(live), From: "watch"}
	client := d.o.client
	if client == "" {
		client = clientOf(d.w.Names())
	}
	if err := found.Advise(client); err != nil {
		return nil, err
	}
	doc := &Document{
		Schema: Schema, Version: cli.Version(), Begin: d.began.UTC(), Length: length.Seconds(),
		Service:   Service{PIDs: d.at.pids, Name: d.at.name, Targets: d.o.targets, Listens: d.o.listens},
		Condition: condition, Held: d.held, Totals: d.w.Sum, Idle: watch.IdleTimes(d.ring.Connections()),
		Pool: d.w.Now(), Says: d.w.PoolSays(), Verdict: found, Notes: d.notes,
	}
	if text := d.w.PortsSay(); text != "" {
		doc.Says = append(doc.Says, text+".")
	}
	for _, s := range sees {
		doc.Layers = append(doc.Layers, Layer{s.Layer.String(), s.On, s.Says, s.Lacks, s.Lost})
	}
	for _, g := range d.w.Pools() {
		doc.Pools = append(doc.Pools, Pool{g.Pool, gauge(g.Idle), gauge(g.Leased), gauge(g.Pending), gauge(g.Max)})
	}
	used, _ := host.CPUTime()
	doc.Cost = Cost{(used - d.cpu).Seconds(), (used - d.cpu).Seconds() / max(length.Seconds(), 0.001), d.looks, d.slow.Seconds()}
	return doc, nil
}

func gauge(v float64) *float64 {
	if v < 0 {
		return nil
	}
	return &v
}

// print prints the document, as text or with --json.
func (d *session) print(doc *Document) error {
	if d.s.JSON {
		return json.NewEncoder(d.s.Out).Encode(doc)
	}
	if err := doc.Verdict.Text(d.s); err != nil {
		return err
	}
	return terminal.Fitted(d.s.Out, 0, func(b *bytes.Buffer) error {
		b.WriteString("\n")
		for _, text := range doc.watched() {
			layout.Paragraph(b, "", layout.OneLine(text))
		}
		b.WriteString("\nLayers:\n")
		for _, text := range watch.Layers(d.sees) {
			layout.Paragraph(b, "  ", layout.OneLine(text))
		}
		layout.Paragraph(b, "", doc.Cost.sentence())
		for _, text := range doc.Notes {
			layout.Paragraph(b, "", layout.OneLine(text))
		}
		return nil
	})
}

func (c Cost) sentence() string {
	return fmt.Sprintf("Cost: %.2f s of processor time, %.1f %% of a core; %s, and the slowest took %s.", c.CPU, 100*c.Share, cli.Count(c.Looks, "look"), results.FormatSeconds(c.Slowest))
}

// watched says in sentences what was seen beside the verdict.
func (doc *Document) watched() (says []string) {
	t := &doc.Totals
	text := fmt.Sprintf("Watched for %s: %s", round(doc.Length), cli.Count(t.Connections, "connection"))
	if t.Older > 0 {
		text += fmt.Sprintf(", %d of them older than the watch", t.Older)
	}
	for _, side := range []string{"server", "client", "middle", "nobody"} {
		if n := t.Closes[side]; n > 0 {
			text += fmt.Sprintf("; %s closed %d first", sides[side], n)
		}
	}
	if t.Open > 0 {
		text += fmt.Sprintf("; %d open at the end", t.Open)
	}
	says = append(says, text+".")
	for _, side := range []string{"server", "client"} {
		if idle, ok := doc.Idle[side]; ok {
			says = append(says, fmt.Sprintf("Idle before a close by the %s: %s (median of %d; %s to %s).", side, results.FormatSeconds(idle.Median), idle.Count, results.FormatSeconds(idle.Min), results.FormatSeconds(idle.Max)))
		}
	}
	for _, p := range doc.Pools {
		text := "Pool " + p.Name + " says:"
		for _, one := range []struct {
			name string
			v    *float64
		}{{"idle", p.Idle}, {"leased", p.Leased}, {"pending", p.Pending}, {"max", p.Max}} {
			if one.v != nil {
				text += fmt.Sprintf(" %s %.0f,", one.name, *one.v)
			}
		}
		says = append(says, text[:len(text)-1]+".")
	}
	return append(says, doc.Says...)
}

var sides = map[string]string{"server": "the server", "client": "the client", "middle": "a machine in between", "nobody": "an end that is not known"}

func round(seconds float64) string {
	return time.Duration(seconds * float64(time.Second)).Round(100 * time.Millisecond).String()
}

// encode writes the document as a file.
func (doc *Document) encode(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(doc)
}
