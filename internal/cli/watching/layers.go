package watching

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/kabench/kabench/internal/evidence/segments"
	"github.com/kabench/kabench/internal/watch"
	"github.com/kabench/kabench/internal/watch/closes"
	"github.com/kabench/kabench/internal/watch/freed"
	"github.com/kabench/kabench/internal/watch/kernel"
	"github.com/kabench/kabench/internal/watch/packets"
	"github.com/kabench/kabench/internal/watch/sockets"
)

// layers are the ways of looking that are in use.
type layers struct {
	looker  *sockets.Watcher
	freed   *freed.Listener
	kernel  *kernel.Layer
	fold    *closes.Fold
	packets *packets.Layer
	gauges  *scraper
	off     map[watch.Layer]string // why a layer is off that was not asked for
	ended   func(*watch.Ended)

	complaints []string // about the gauges
}

// open opens the layers. Only the first one is needed.
func (o *options) open(began time.Time, at *service, ended func(*watch.Ended)) (l *layers, err error) {
	l = &layers{off: map[watch.Layer]string{}, ended: ended}
	ends := watch.Ends{Targets: o.to}
	for _, port := range o.ports {
		ends.Listens = append(ends.Listens, netip.AddrPortFrom(netip.IPv4Unspecified(), port), netip.AddrPortFrom(netip.IPv6Unspecified(), port))
	}
	config := sockets.Config{PIDs: at.pids, Targets: o.to, Listen: o.ports}
	err = at.within(func() (err error) {
		l.looker, err = sockets.New(config, began)
		return err
	})
	if err != nil {
		return nil, err
	}
	const unwanted = "left out by --layers"
	if o.uses("kernel") {
		l.kernel = kernel.Open(kernel.Want{Ends: ends, Namespace: at.network.Number()}, began)
		l.fold = closes.New(ends, l.closed)
	} else {
		l.off[watch.Kernel] = unwanted
	}
	if o.uses("packets") {
		l.packets = packets.Open(packets.Want{Ends: ends, Namespace: at.file()}, began)
	} else {
		l.off[watch.Packets] = unwanted
	}
	if l.kernel == nil || l.packets == nil || !l.kernel.Sees().On || !l.packets.Sees().On {
		err = at.within(func() (err error) { l.freed, err = freed.Open(began); return err })
		if err != nil {
			l.off[watch.Sockets] = err.Error()
		}
	}
	switch {
	case o.metrics != "" && o.uses("gauges"):
		if l.gauges, err = scrape(o.metrics, o.scrape, began, at.dial()); err != nil {
			return nil, errors.Join(fmt.Errorf("--metrics: %w", err), l.close())
		}
	case o.metrics == "":
		l.off[watch.Pools] = "--metrics URL, at which the service shows its pool's gauges"
	default:
		l.off[watch.Pools] = unwanted
	}
	return l, nil
}

// closed passes on what the kernel's events say about a connection.
func (l *layers) closed(one *closes.Life) {
	l.ended(&watch.Ended{Connection: one.Connection, Flow: one.Flow, Cookie: one.Cookie, Accepted: one.Accepted, Over: one.State == "CLOSE"})
}

// look takes what the layers have seen since the last time, and looks at the sockets. The
// error says that the service has ended, or that its sockets are not seen any more.
func (l *layers) look(w *watch.Watch, now func() time.Duration, segment func(*segments.Segment)) (look watch.Look, err error) {
	if l.kernel != nil {
		before := l.kernel.Sees().Lost
		l.kernel.Take(func(e watch.Event) {
			w.Event(&e)
			l.fold.Add(e)
		})
		if l.kernel.Sees().Lost > before {
			l.fold.Lost()
		}
		l.fold.Advance(now())
	}
	if l.packets != nil {
		l.packets.Take(segment)
	}
	if l.freed != nil {
		l.freed.Take(w.Gone)
	}
	if l.gauges != nil {
		l.complaints = append(l.complaints, l.gauges.take(w)...)
	}
	if look, err = l.looker.Look(); err != nil {
		return look, err
	}
	w.Look(&look)
	return look, nil
}

// end takes what the layers have seen last, and closes them.
func (l *layers) end(w *watch.Watch, now func() time.Duration, segment func(*segments.Segment)) (sees []watch.Sees, err error) {
	_, _ = l.look(w, now, segment) // the service may have ended
	if l.fold != nil {
		l.fold.End(now())
	}
	return l.sees(), l.close()
}

// close closes the layers.
func (l *layers) close() error {
	err := l.looker.Close()
	if l.freed != nil {
		err = errors.Join(err, l.freed.Close())
	}
	if l.kernel != nil {
		err = errors.Join(err, l.kernel.Close())
	}
	if l.packets != nil {
		err = errors.Join(err, l.packets.Close())
	}
	if l.gauges != nil {
		l.gauges.close()
	}
	return err
}

// sees says what each layer sees and lacks.
func (l *layers) sees() []watch.Sees {
	list := []watch.Sees{l.looker.Sees()}
	if l.freed != nil {
		list[0].Lost += l.freed.Lost()
		list[0].Says += "; the last word of the kernel about each socket that ends, which says whether its bytes arrived"
	}
	if why := l.off[watch.Sockets]; why != "" {
		list[0].Lacks = why
	}
	for _, layer := range []watch.Layer{watch.Pools, watch.Kernel, watch.Packets} {
		one := watch.Sees{Layer: layer, Says: "nothing", Lacks: l.off[layer]}
		switch {
		case layer == watch.Pools && l.gauges != nil:
			one = l.gauges.sees()
		case layer == watch.Kernel && l.kernel != nil:
			one = l.kernel.Sees()
		case layer == watch.Packets && l.packets != nil:
			one = l.packets.Sees()
		}
		list = append(list, one)
	}
	return list
}

// cannot says what the layers that are off would have shown.
func cannot(list []watch.Sees) (says []string) {
	for _, s := range list {
		if s.On {
			if s.Lost > 0 {
				says = append(says, fmt.Sprintf("What was in %d messages of the layer %s that were lost: it was too slow.", s.Lost, s.Layer))
			}
			continue
		}
		switch s.Layer {
		case watch.Kernel:
			says = append(says, "The moment of each close, and the reason of a RST: the kernel's events show them ("+s.Lacks+").")
		case watch.Packets:
			says = append(says, "How a request and a close crossed, to the microsecond: the headers of packets show it ("+s.Lacks+").")
		case watch.Pools:
			says = append(says, "What the pool says about itself: "+s.Lacks+".")
		}
	}
	return says
}
