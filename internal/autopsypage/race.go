package autopsypage

import (
	"fmt"
	"html/template"
	"time"

	"github.com/kabench/kabench/internal/autopsy"
	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/page"
)

// race is the picture of a connection's last packets.
type race struct {
	Title, Why string
	Picture    template.HTML
}

// drawnRaces is how many races a page draws, and of one kind.
const (
	drawnRaces = 6
	drawnAlike = 3
)

// racesOf draws some failures, of each kind.
func racesOf(d Document) (list []race) {
	of := map[int64]*autopsy.Lifeline{}
	for i := range d.Seen.Connections {
		for _, u := range d.Seen.Connections[i].Unanswered {
			of[u.Number] = &d.Seen.Connections[i]
		}
	}
	alike := map[evidence.Meeting]int{}
	for i := range d.Verdict.Failures {
		f := &d.Verdict.Failures[i]
		c := of[f.Number]
		if f.Number == 0 || c == nil || c.Client.String() != f.Client || len(c.Last) == 0 || alike[f.Met] == drawnAlike {
			continue
		}
		alike[f.Met]++
		r := rowOf(f)
		title := fmt.Sprintf("%s %s: it %s", r.When, r.Request, f.Sentence())
		list = append(list, race{title, r.Why, template.HTML(page.Race(laddered(f, c), title))}) // page escapes every text
		if len(list) == drawnRaces {
			break
		}
	}
	return list
}

// laddered returns the last packets of a connection as rows, in the client's time.
func laddered(f *autopsy.Failure, c *autopsy.Lifeline) results.Evidence {
	e := results.Evidence{Client: f.Client, Server: f.Server}
	way := time.Duration(0) // of a packet, where one end is far
	if c.Near == evidence.ByClient {
		way = c.RoundTrip / 2
	}
	made := map[int64]evidence.Side{}
	for _, r := range c.Resets {
		made[r.Number] = r.Origin
	}
	for _, s := range c.Last {
		row := results.EvidenceRow{At: s.At.Seconds(), From: "client", To: "server", Flags: s.Flags.String(), Len: s.Len}
		if !s.FromClient {
			sent := (s.At - way).Seconds()
			row.From, row.To, row.Sent = "server", "client", &sent
			if made[s.Number] == evidence.ByMiddle {
				row.From = "link"
			}
		}
		e.Rows = append(e.Rows, row)
	}
	if f.Begun != evidence.NotSeen {
		text := "the request"
		if f.Idle != evidence.NotSeen {
			text += ", after " + results.FormatSeconds(f.Idle.Seconds()) + " idle"
		}
		e.Rows = append(e.Rows, results.EvidenceRow{At: f.Begun.Seconds(), Note: text})
	}
	if f.Close.At != evidence.NotSeen {
		e.Rows = append(e.Rows, results.EvidenceRow{At: f.Close.At.Seconds(), Note: "the close, by the " + f.Close.By.String()})
	}
	return e
}
