package witness

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results"
)

// Where packets cannot be watched, kabench's own server tells which requests it read; of
// one that did not arrive it knows nothing.
func TestStoriesAlone(t *testing.T) {
	server, err := lab.Start(script.Server{}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	server.Follow()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	epoch := time.Now()
	for seq := range 2 {
		request, err := http.NewRequest(http.MethodGet, server.URL(), nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-Request-Id", fmt.Sprintf("%020d", seq))
		response, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
	alone := Alone{server}
	for seq := range uint64(2) {
		sight := alone.Saw(seq, epoch)
		if !sight.Seen || len(sight.Attempts) != 1 {
			t.Fatalf("%d: %+v", seq, sight)
		}
		if a := sight.Attempts[0]; a.Use != int(seq)+1 || a.Phase != results.PhaseDone || a.Basis != evidence.Inferred || a.Began < 0 {
			t.Errorf("%d: %+v", seq, a)
		}
	}
	if sight := alone.Saw(7, epoch); !sight.Seen || len(sight.Attempts) != 0 {
		t.Errorf("a request that did not arrive: %+v", sight)
	}
}
