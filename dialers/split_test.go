package dialers

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/transport"
	"github.com/kabench/kabench/results"
)

// writes is a transport that remembers what was written at a time.
type writes struct {
	transport.Transport
	each []string
}

func (w *writes) Write(b []byte) (int, error) {
	w.each = append(w.each, string(b))
	return len(b), nil
}

// A request to split has its head in a write of its own, whatever its length; any
// other has its head and the beginning of its body in one.
func TestSplit(t *testing.T) {
	for name, split := range map[string]bool{"whole": false, "split": true} {
		t.Run(name, func(t *testing.T) {
			r, err := NewRequest(http.MethodPost, "http://server/", nil, []byte("the body"))
			if err != nil {
				t.Fatal(err)
			}
			if split {
				r = r.Split()
			}
			c := newClient(t, pool.Default(), &Dialer{}, long, r)
			wire := &writes{}
			x := &exchange{client: c, record: &results.Exchange{}, req: r}
			x.out = outgoing{req: r, bytes: r.bytes, writing: true}
			x.conn = &connection{client: c, wire: wire, exchange: x}
			x.send()
			want := []string{string(r.bytes)}
			if split {
				head, body, _ := strings.Cut(want[0], "\r\n\r\n")
				want = []string{head + "\r\n\r\n", body}
			}
			if !slices.Equal(wire.each, want) {
				t.Errorf("written: %q, want %q", wire.each, want)
			}
		})
	}
}
