package watching

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/evidence/segments"
	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/host"
	"github.com/kabench/kabench/internal/interrupt"
	"github.com/kabench/kabench/internal/watch"
	"github.com/kabench/kabench/internal/watch/sockets"
)

// session is one watch.
type session struct {
	s        *cli.Streams
	o        *options
	at       *service
	began    time.Time
	w        *watch.Watch
	ring     *watch.Ring
	headers  *headers
	layers   *layers
	sees     []watch.Sees
	progress *cli.Progress
	page     *livePage
	dir      string
	cpu      time.Duration // that this process had used at the beginning
	slow     time.Duration // processor time of the slowest look
	looks    int
	held     int // how often the condition has held
	found    int // requests that met the end of their connection
	notes    []string
	failed   error  // the first one of a file
	drawn    []byte // the newest page
	drawnAt  time.Time
	old      []string
}

// newSession opens the layers of a watch.
func newSession(ctx context.Context, s *cli.Streams, o *options) (*session, error) {
	at, err := o.find(ctx)
	if err != nil {
		return nil, err
	}
	d := &session{s: s, o: o, at: at, began: time.Now(), ring: &watch.Ring{}, headers: &headers{}, progress: cli.NewProgress(s)}
	d.cpu, _ = host.CPUTime()
	d.w = watch.New(d.over, o.mine())
	d.w.Skip = o.ours()
	if len(o.conditions) > 0 {
		d.ring.Last, d.headers.last = o.ring, o.ring
	}
	d.layers, err = o.open(d.began, at, d.w.Ended)
	return d, err
}

func watchService(c *cobra.Command, s *cli.Streams, o *options) error {
	d, err := newSession(c.Context(), s, o)
	if err != nil {
		return err
	}
	if err := d.claim(); err != nil {
		return errors.Join(err, d.layers.close())
	}
	if d.page, err = o.serve(s); err != nil {
		return errors.Join(err, d.layers.close())
	}
	d.begin()
	ctx, stop, restore := interrupt.CatchWaiting(c.Context(), s.Err, func() string { return "" })
	defer restore()
	why := d.loop(ctx, stop)
	d.progress.End()
	return d.end(ctx, why)
}

// over takes a connection that has ended.
func (d *session) over(c *evidence.Connection) { d.ring.Add(c) }

// segment takes the headers of a packet.
func (d *session) segment(s *segments.Segment) {
	// Without a target and a port, the servers of the service become known by looks.
	if d.o.mine() == nil || d.o.watches(s.Src) || d.o.watches(s.Dst) {
		d.headers.add(s)
		d.w.Segment(s)
	}
}

// mine says which connections that no look has shown are the service's: those to the
// targets and at the ports that are watched. Without any, those to the servers that the
// service uses.
func (o *options) mine() func(watch.Flow) (accepted, ok bool) {
	if len(o.to) == 0 && len(o.ports) == 0 {
		return nil
	}
	return func(f watch.Flow) (accepted, ok bool) {
		if slices.Contains(o.ports, f.Local.Port()) {
			return true, true
		}
		return false, slices.Contains(o.to, f.Remote)
	}
}

// ours says which connections are those that ask for the gauges: they are no business of the
// service's pool. nil: none.
func (o *options) ours() func(watch.Flow) bool {
	port, ok := o.ownPort()
	if !ok {
		return nil
	}
	return func(f watch.Flow) bool { return f.Local.Port() == port }
}

// ownPort is the port at which the service shows its gauges; ok is false if nothing is left
// out because of it.
func (o *options) ownPort() (port uint16, ok bool) {
	u, err := url.Parse(o.metrics)
	if err != nil || o.metrics == "" || !o.uses("gauges") || len(o.to) > 0 || len(o.ports) > 0 {
		return 0, false
	}
	if u.Port() == "" {
		if u.Scheme == "https" {
			return 443, true
		}
		return 80, true
	}
	n, err := strconv.ParseUint(u.Port(), 10, 16)
	return uint16(n), err == nil
}

// watches reports whether an address is one of the targets or ports.
func (o *options) watches(a netip.AddrPort) bool {
	return slices.Contains(o.to, a) || slices.Contains(o.ports, a.Port())
}

// now is the time since the beginning.
func (d *session) now() time.Duration { return time.Since(d.began) }

// begin says what is watched, and what the layers see.
func (d *session) begin() {
	if d.s.JSON {
		return
	}
	fmt.Fprintln(d.s.Err, d.title())
	for _, text := range watch.Layers(d.layers.sees()) {
		fmt.Fprintln(d.s.Err, "  "+text)
	}
	if port, ok := d.o.ownPort(); ok {
		fmt.Fprintf(d.s.Err, "  connections that come to port %d are left out, because it serves the gauges; --listen :%d watches them\n", port, port)
	}
}

// ending is why a watch ends.
type ending uint8

const (
	timeOver ending = iota
	stopped
	serviceOver
	heldOften
)

// drawEvery is how often the terminal shows new values.
const drawEvery = 500 * time.Millisecond

// loop looks until the watch is over.
func (d *session) loop(ctx context.Context, stop <-chan struct{}) ending {
	timer := time.NewTimer(0)
	defer timer.Stop()
	drawn := time.Duration(-drawEvery)
	free := time.Duration(0) // looks before would cost too much
	for {
		select {
		case <-ctx.Done():
			return stopped
		case <-stop:
			return stopped
		case answer := <-d.page.asked():
			answer <- d.pageNow()
			continue
		case <-d.layers.gauges.scraped():
			if d.now() < free {
				continue
			}
		case <-timer.C:
		}
		if pids, changed := d.at.renewed(d.now()); changed {
			d.layers.looker.SetPIDs(pids)
		}
		look, err := d.layers.look(d.w, d.now, d.segment)
		now := d.now()
		if err != nil {
			return d.lost(err)
		}
		d.looks++
		d.complain()
		d.slow = max(d.slow, look.Took)
		d.ring.Pass(now)
		d.headers.pass(now)
		if d.judge() {
			return heldOften
		}
		if now-drawn >= drawEvery {
			drawn = now
			d.draw(now)
		}
		if d.o.length > 0 && now >= d.o.length {
			return timeOver
		}
		pause := sockets.Pause(look.Took, d.o.every)
		if d.o.length > 0 {
			pause = min(pause, max(d.o.length-now, 0))
		}
		timer.Reset(pause)
		free = d.now() + sockets.Pause(look.Took, 0)
	}
}

// complain says what is wrong with the gauges, while the rest goes on.
func (d *session) complain() {
	for _, text := range d.layers.complaints {
		fmt.Fprintf(d.s.Err, "kabench: %s\n", text)
		d.notes = append(d.notes, text+".")
	}
	d.layers.complaints = nil
}

// lost says why the sockets are not seen any more.
func (d *session) lost(err error) ending {
	d.notes = append(d.notes, fmt.Sprintf("After %v: %v.", d.now().Round(100*time.Millisecond), err))
	return serviceOver
}

// judge writes the last minutes if a condition holds; true: it has held often enough.
func (d *session) judge() bool {
	if len(d.o.conditions) == 0 {
		return false
	}
	figures := d.w.Figures()
	held := ""
	for i := range d.o.conditions {
		one := &d.o.conditions[i]
		if one.holds(figures) && d.now() >= one.pause {
			held = one.text
			one.again(figures)
			one.pause = d.now() + time.Duration(pauseFor)
		}
	}
	if held == "" {
		return false
	}
	d.held++
	d.write(held)
	return d.o.times > 0 && d.held >= d.o.times
}

// pauseFor is how long a condition that has held is not asked: a gauge may stay where it is.
const pauseFor = 10 * time.Second

// end judges what was seen, prints it and keeps it.
func (d *session) end(ctx context.Context, why ending) error {
	sees, err := d.layers.end(d.w, d.now, d.segment)
	d.sees = sees
	d.fail(err)
	d.w.End()
	doc, err := d.document("")
	if err != nil {
		return err
	}
	doc.Interrupted = why == stopped && d.o.length > 0
	d.page.final(func() []byte { return d.drawPage(doc, false) })
	d.keep(doc, d.dir) // before it is printed: who reads that may have gone
	d.fail(d.print(doc))
	d.fail(doc.Verdict.WriteFacts(d.s, d.o.facts))
	d.kept(d.dir)
	d.page.close(ctx)
	switch {
	case d.failed != nil:
		return d.failed
	case doc.Interrupted:
		return exit.Interrupted
	case d.w.Sum.Failures > 0:
		return exit.Unmet
	}
	return nil
}
