package page

import (
	"fmt"
	"strings"
	"time"

	"github.com/kabench/kabench/results"
)

// facts lists what the record holds about a failed exchange, one fact per line.
func facts(e *results.Exchange) []string {
	list := []string{fmt.Sprintf("request %d ended in %v / %v, %s after it was due", e.Seq, e.Phase, e.Cause, took(e.ResponseTime()))}
	if e.WarmUp {
		list = append(list, "it was due in the warm-up, so it is not counted")
	}
	if e.Conn > 0 {
		text := fmt.Sprintf("connection %d, its exchange number %d", e.Conn, e.Use)
		if e.Reused() {
			text += fmt.Sprintf("; idle for %s when leased, %s old", took(e.Idle), took(e.Age))
		}
		list = append(list, text)
	}
	var phases []string
	for phase, d := range e.Phases() {
		phases = append(phases, fmt.Sprintf("%v %s", phase, took(d)))
	}
	if len(phases) > 0 {
		list = append(list, "time by phase: "+strings.Join(phases, ", "))
	}
	for i := range e.Tries {
		t := &e.Tries[i]
		list = append(list, fmt.Sprintf("attempt %d on connection %d, idle for %s: %v / %v, made again", i+1, t.Conn, took(t.Idle), t.Phase, t.Cause))
	}
	if e.Twice {
		list = append(list, "the server may have executed it twice, and its method is not idempotent")
	}
	if e.Status != 0 {
		list = append(list, fmt.Sprintf("the head of a response with status %d had arrived", e.Status))
	}
	list = append(list, fmt.Sprintf("%d bytes written, %d read", e.BytesOut, e.BytesIn))
	list = append(list, kernel("when leased", e.AtLease)...)
	list = append(list, kernel("at the failure", e.AtFailure)...)
	if e.Err != nil {
		list = append(list, "error: "+e.Err.Error())
	}
	return list
}

// kernel describes the connection as the kernel saw it (TCP_INFO), if it was asked.
func kernel(when string, i *results.TCPInfo) []string {
	if i == nil {
		return nil
	}
	return []string{fmt.Sprintf(
		"the kernel %s: %s, round trip %s ± %s, %d unacknowledged, %d sent again, last sent %s ago, last received %s ago, %d bytes acknowledged, %d received",
		when, i.State, took(i.RTT), took(i.RTTVar), i.Unacked, i.TotalRetrans, took(i.SinceSent), took(i.SinceReceived), i.BytesAcked, i.BytesReceived)}
}

// stampLadder lists the stamps of an exchange whose packets were not seen.
func stampLadder(e *results.Exchange) []string {
	var list []string
	for _, s := range [...]struct {
		at   time.Duration
		note string
	}{
		{e.Due, "due"}, {e.Start, "started"}, {e.Leased, "leased a connection, or the right to dial one"},
		{e.Resolved, "name looked up"}, {e.Connected, "connected"}, {e.Secured, "TLS established"},
		{e.WroteHeaders, "head of the request written"}, {e.Wrote, "request written completely"},
		{e.FirstByte, "first byte of the response"}, {e.GotHeaders, "head of the response read"},
		{e.Done, fmt.Sprintf("over: %v / %v", e.Phase, e.Cause)},
	} {
		if s.at != results.Never {
			list = append(list, results.EvidenceRow{At: s.at.Seconds(), Note: s.note}.String())
		}
	}
	return list
}

// packetLadder lists the packets of an exchange, as links saw them.
func packetLadder(e results.Evidence) []string {
	list := []string{fmt.Sprintf("%s (client) to %s (server)", e.Client, e.Server)}
	if e.Earlier > 0 {
		list = append(list, "... "+results.FormatCount(uint64(e.Earlier), "packet")+" before")
	}
	return append(list, e.Lines()...)
}

func took(d time.Duration) string { return results.FormatSeconds(d.Seconds()) }
