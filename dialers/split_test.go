package dialers

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/results"
)

// writes is a transport that remembers what was written at a time.
type writes struct {
	transport
	each []string
}

func (w *writes) write(b []byte) (int, error) {
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
			conn := &Conn{c: c, wire: wire}
			conn.begin(&task{c: c, e: &results.Exchange{}, req: r, bytes: r.bytes})
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
