package services

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestBuild builds the services if KABENCH_SERVICES=build, for .ci/drivers.
func TestBuild(t *testing.T) {
	if os.Getenv("KABENCH_SERVICES") != "build" {
		t.Skip("KABENCH_SERVICES=build builds them")
	}
	for _, e := range All() {
		if _, err := e.Build(t.Context(), t.Output()); err != nil {
			t.Error(err)
		}
	}
}

// TestServices: each service calls the URL, counts its calls, and shows its gauges.
func TestServices(t *testing.T) {
	names := map[string]string{ // a metric of each
		"reactor-netty": "reactor_netty_connection_provider_active_connections",
		"okhttp":        "okhttp_pool_connection_count_connections",
		"apache-hc5":    "httpcomponents_httpclient_pool_total_connections",
		"undici":        "undici_pool_free",
		"requests":      "",
	}
	for _, e := range All() {
		client := strings.TrimPrefix(e.Name, "service-")
		t.Run(client, func(t *testing.T) {
			t.Parallel()
			if _, built := e.Built(); !built {
				if os.Getenv("CI") != "" {
					t.Fatal("not built; run .ci/drivers")
				}
				t.Skip("not built; run .ci/drivers")
			}
			var calls atomic.Int64
			enough := make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost && calls.Add(1) == 20 {
					close(enough)
				}
			}))
			defer server.Close()
			s, err := Start(t.Context(), client, Options{URL: server.URL + "/x", Rate: 50, Method: http.MethodPost, Connections: 100, Idle: 30 * time.Second}, nil)
			if err != nil {
				t.Fatal(err)
			}
			<-enough
			if name := names[client]; name != "" {
				if text := get(t, s.Metrics); !strings.Contains(text, name+"{") {
					t.Errorf("%s is not among the metrics:\n%s", name, text)
				}
			} else if s.Metrics != "" {
				t.Errorf("metrics at %q", s.Metrics)
			}
			r, err := s.Stop()
			if err != nil {
				t.Fatal(err)
			}
			if r.OK < 15 || r.Sent < r.OK || len(r.Errors) > 0 {
				t.Errorf("the service reports %+v after 20 calls", r)
			}
		})
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
