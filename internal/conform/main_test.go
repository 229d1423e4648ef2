package conform

import (
	"flag"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/kabench/kabench/dialers/external"
	"github.com/kabench/kabench/dialers/external/drivers/golang/kit"
)

// asDriver makes this test binary a driver of Go's net/http.
const asDriver = "CONFORM_TEST_DRIVER"

func TestMain(m *testing.M) {
	if os.Getenv(asDriver) == "" {
		// Stories wait most of the time.
		flag.Parse()
		given := false
		flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
		if !given {
			flag.Set("test.parallel", "4")
		}
		os.Exit(m.Run())
	}
	kit.Run(kit.Driver{
		Name: "test", Client: "net/http in a test", Version: "1.2.3",
		Settings: []kit.Setting{{Name: "MaxIdleConnsPerHost", Kind: "count", Default: 2, Pool: "max_idle"}},
		New:      newStock,
	})
}

// own is the command of this binary as a driver.
func own(t *testing.T) external.Command {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return external.Command{Name: "test", Argv: []string{self}, Env: []string{asDriver + "=1"}}
}

// stock is a client whose only setting is the number of idle connections.
type stock struct{ *http.Client }

func newStock(c kit.Config) (kit.Client, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy, t.MaxIdleConnsPerHost = nil, c.Count("MaxIdleConnsPerHost", 2, 1000)
	return stock{&http.Client{Transport: t, Timeout: c.Timeout}}, nil
}

func (s stock) Do(r kit.Request) kit.Response {
	var body io.Reader
	if r.Body > 0 {
		body = strings.NewReader(strings.Repeat("x", r.Body))
	}
	request, err := http.NewRequest(r.Method, r.URL, body)
	if err != nil {
		return kit.Response{Err: err}
	}
	for _, h := range r.Headers {
		if h[0] != "Host" {
			request.Header.Add(h[0], h[1])
		}
	}
	response, err := s.Client.Do(request)
	if err != nil {
		return kit.Response{Err: err}
	}
	defer response.Body.Close()
	n, err := io.Copy(io.Discard, response.Body)
	return kit.Response{Status: response.StatusCode, Bytes: n, Err: err}
}

func (stock) Gauges() map[string]float64 { return nil }

func (s stock) Close() { s.CloseIdleConnections() }
