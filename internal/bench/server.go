package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// server sends the same response to every request and keeps a recording.
type server interface {
	// listen opens a free port on an address, and returns address and port.
	listen(host string) (addr string, err error)
	// do runs f while nothing else uses the recording.
	do(f func(*recording)) error
	close() error
}

// serveCommand is the hidden sub-command with which bench starts itself as the recording
// server.
const serveCommand = "recording-server"

// seen is the part of a recording that the server returns; see recording.
type seen struct {
	requests, accepted, used, refused, broken, open, peak int64
	first, last                                           int64
	cpu                                                   int64 // CPU time of the server since the reset, ns; 0: not known

	stamps []int64
}

// serve is the process of the recording server. It reads commands, one per line, and
// writes one line for each, "ok ..." or "error ...". It ends at the end of in.
//
//	listen HOST             ok HOST:PORT
//	reset CAPACITY CLOSE    ok              CLOSE: true if each response ends its connection
//	count                   ok REQUESTS OPEN
//	take                    ok REQUESTS ACCEPTED USED REFUSED BROKEN OPEN PEAK FIRST LAST CPU STAMPS,
//	                                        after the line that many stamps of 8 bytes, little-endian
func serve(srv server, in io.Reader, out io.Writer) error {
	w := bufio.NewWriter(out)
	cpuAtReset := cpuTime()
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if err := serveLine(srv, lines.Text(), &cpuAtReset, w); err != nil {
			fmt.Fprintf(w, "error %s\n", strings.ReplaceAll(err.Error(), "\n", "; "))
		}
		if err := w.Flush(); err != nil {
			return errors.Join(err, srv.close())
		}
	}
	return errors.Join(lines.Err(), srv.close())
}

func serveLine(srv server, line string, cpuAtReset *int64, w *bufio.Writer) error {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "listen":
		addr, err := srv.listen(rest)
		if err == nil {
			fmt.Fprintf(w, "ok %s\n", addr)
		}
		return err
	case "reset":
		var capacity int
		var closeEach bool
		if _, err := fmt.Sscan(rest, &capacity, &closeEach); err != nil || capacity < 0 {
			return fmt.Errorf("reset %q: want a capacity and true or false", rest)
		}
		err := srv.do(func(r *recording) { r.reset(capacity, closeEach) })
		*cpuAtReset = cpuTime()
		if err == nil {
			fmt.Fprintln(w, "ok")
		}
		return err
	case "count":
		var requests, open int64
		err := srv.do(func(r *recording) { requests, open = r.requests, r.open })
		if err == nil {
			fmt.Fprintf(w, "ok %d %d\n", requests, open)
		}
		return err
	case "take":
		return srv.do(func(r *recording) {
			fmt.Fprintf(w, "ok %d %d %d %d %d %d %d %d %d %d %d\n", r.requests, r.accepted, r.used, r.refused, r.broken,
				r.open, r.peak, r.first, r.last, cpuTime()-*cpuAtReset, len(r.stamps))
			var b [8]byte
			for _, stamp := range r.stamps {
				binary.LittleEndian.PutUint64(b[:], uint64(stamp))
				w.Write(b[:]) // Flush returns its error
			}
		})
	default:
		return fmt.Errorf("there is no command %q", word)
	}
}
