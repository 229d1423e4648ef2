package autopsy

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

// WriteRequests writes the requests of a server as comma-separated values: a comment, the
// names of the columns, and one line for each request in the order of time. docs/autopsy.md
// describes the columns.
func WriteRequests(w io.Writer, list []Request) error {
	b := bufio.NewWriter(w)
	fmt.Fprintln(b, "# kabench.requests/v1: times of the requests of a capture, in seconds")
	fmt.Fprintln(b, "sent,client,connection,nth,idle,took,status,met")
	clients := map[netip.Addr]int{}
	start := time.Duration(0)
	if len(list) > 0 {
		start = list[0].Sent
	}
	for _, r := range list {
		host := r.Client
		if clients[host] == 0 {
			clients[host] = len(clients) + 1
		}
		met, status := "", ""
		if r.Failed {
			met = r.Met.String()
		}
		if r.Status > 0 {
			status = strconv.Itoa(int(r.Status))
		}
		fmt.Fprintf(b, "%s,%d,%d,%d,%s,%s,%s,%s\n", exactly(r.Sent-start), clients[host], r.Connection, r.Nth, exactly(r.Idle), exactly(r.Took), status, met)
	}
	return b.Flush()
}

// exactly writes a time in seconds, to the microsecond; "" if it was not seen.
func exactly(d time.Duration) string {
	if d == evidence.NotSeen {
		return ""
	}
	return strconv.FormatFloat(d.Seconds(), 'f', 6, 64)
}
