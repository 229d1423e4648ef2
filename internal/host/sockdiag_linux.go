package host

import (
	"maps"
	"net/netip"
	"slices"
)

// A SocketWatcher counts the TCP sockets of a Watch. See [Diag] for what it costs and
// sees. It is not safe for concurrent use.
type SocketWatcher struct {
	sides *sides
	diag  *Diag
	query DiagQuery
	add   func(*DiagSocket)
}

// NewSocketWatcher opens a socket to the kernel; Close closes it. It fails if w has no
// address, or if the kernel refuses sock_diag (as in some sandboxes).
func NewSocketWatcher(w Watch) (*SocketWatcher, error) {
	s, err := newSides(w)
	if err != nil {
		return nil, err
	}
	diag, err := NewDiag()
	if err != nil {
		return nil, err
	}
	return &SocketWatcher{
		sides: s, diag: diag, query: DiagQuery{Filter: socketFilter(s)},
		add: func(d *DiagSocket) { s.add(d.State, d.Local, d.Remote) },
	}, nil
}

// Close closes the socket to the kernel.
func (w *SocketWatcher) Close() error { return w.diag.Close() }

// Count counts the sockets that exist now. The result is not a snapshot: sockets are
// made and closed while the kernel walks its tables. After an error the watcher cannot
// be used any more.
func (w *SocketWatcher) Count() (SocketCount, error) {
	if err := w.diag.Sockets(w.query, w.sides.reset, w.add); err != nil {
		return SocketCount{}, err
	}
	return w.sides.total(), nil
}

// socketFilter returns the filter of the sockets that are on either side; if it is nil,
// sides.add selects.
func socketFilter(s *sides) []byte {
	var locals []netip.AddrPort
	if s.count.ServerSide {
		locals = slices.Collect(maps.Keys(s.servers))
	}
	return DiagFilter(slices.Collect(maps.Keys(s.remotes)), locals)
}
