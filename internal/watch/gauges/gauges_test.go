package gauges

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kabench/kabench/internal/watch"
)

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		name, text string // text: of testdata, if there is no line end in it
		want       []watch.Gauges
		complaints int
	}{
		{"Reactor Netty", "reactor-netty.txt", []watch.Gauges{{
			Pool: "Reactor Netty name=service id=-266486417 remote_address=127.0.0.1:36897", Target: "127.0.0.1:36897",
			Idle: 16, Leased: 4, Open: 20, Pending: 0, Max: 20,
		}}, 0},
		{"HC5", "apache-hc5.txt", []watch.Gauges{{Pool: "Apache HttpClient httpclient=service", Idle: 17, Leased: 3, Open: 20, Pending: 0, Max: 20}}, 0},
		{"OkHttp", "okhttp.txt", []watch.Gauges{{Pool: "OkHttp", Idle: 13, Leased: 3, Open: 16, Pending: -1, Max: -1}}, 0},
		{"undici", "undici.txt", []watch.Gauges{{
			Pool: "undici origin=http://127.0.0.1:36897", Target: "http://127.0.0.1:36897", Idle: 5, Leased: 3, Open: 8, Pending: 0, Max: -1,
		}}, 0},
		{".NET by OpenMetrics: protocol versions are added", `# TYPE http_client_open_connections unknown
# UNIT http_client_open_connections connections
http_client_open_connections{http_connection_state="idle",network_protocol_version="1.1",server_address="a.example",server_port="443",url_scheme="https"} 3 1520879607.789
http_client_open_connections{http_connection_state="idle",network_protocol_version="2",server_address="a.example",server_port="443",url_scheme="https"} 1
http_client_open_connections{http_connection_state="active",network_protocol_version="1.1",server_address="a.example",server_port="443",url_scheme="https"} 2
# EOF
`, []watch.Gauges{{Pool: "HTTP client (.NET, OpenTelemetry) server_address=a.example server_port=443 url_scheme=https", Target: "a.example:443", Idle: 4, Leased: 2, Open: 6, Pending: -1, Max: -1}}, 0},
		{"names in UTF-8", `{"http.client.open_connections", "http.connection.state"="idle", "server.address"="b"} 3
{"http.client.open_connections", "http.connection.state"="active", "server.address"="b"} 1
`, []watch.Gauges{{Pool: "HTTP client (.NET, OpenTelemetry) server_address=b", Target: "b", Idle: 3, Leased: 1, Open: 4, Pending: -1, Max: -1}}, 0},
		{"Envoy: idle and the most follow from the others", `envoy_cluster_upstream_cx_active{envoy_cluster_name="orders"} 7
envoy_cluster_upstream_rq_active{envoy_cluster_name="orders"} 5
envoy_cluster_upstream_rq_pending_active{envoy_cluster_name="orders"} 2
envoy_cluster_circuit_breakers_default_remaining_cx{envoy_cluster_name="orders"} 1017
envoy_cluster_upstream_cx_active{envoy_cluster_name="h2"} 1
envoy_cluster_upstream_rq_active{envoy_cluster_name="h2"} 5
`, []watch.Gauges{
			{Pool: "Envoy envoy_cluster_name=h2", Idle: -1, Leased: 5, Open: 1, Pending: -1, Max: -1},
			{Pool: "Envoy envoy_cluster_name=orders", Idle: 2, Leased: 5, Open: 7, Pending: 2, Max: 1024},
		}, 0},
		{"HikariCP, by both libraries", `hikaricp_connections_idle{pool="a"} 1
hikaricp_connections_active{pool="a"} 2
hikaricp_connections{pool="a"} 3
hikaricp_connections_pending{pool="a"} 4
hikaricp_connections_max{pool="a"} 10
hikaricp_pending_threads{pool="b"} 9
`, []watch.Gauges{
			{Pool: "HikariCP (Prometheus) pool=b", Idle: -1, Leased: -1, Open: -1, Pending: 9, Max: -1},
			{Pool: "HikariCP pool=a", Idle: 1, Leased: 2, Open: 3, Pending: 4, Max: 10},
		}, 0},
		{"no limit", "reactor_netty_connection_provider_max_connections{name=\"x\"} 2.147483647E9\nreactor_netty_connection_provider_idle_connections{name=\"x\"} 1\n",
			[]watch.Gauges{{Pool: "Reactor Netty name=x", Idle: 1, Leased: -1, Open: -1, Pending: -1, Max: -1}}, 0},
		{"lies", "hikaricp_connections_idle{pool=\"a\"} -1\nhikaricp_connections_active{pool=\"a\"} NaN\nhikaricp_connections_pending{pool=\"a\"} +Inf\nhikaricp_connections_max{pool=\"a\"} many\nhikaricp_connections_max{pool=\"b 1\n" + "hikaricp_connections_idle{pool=\"c\"} 2\n",
			[]watch.Gauges{{Pool: "HikariCP pool=c", Idle: 2, Leased: -1, Open: -1, Pending: -1, Max: -1}}, 5},
		{"no line end", "\nhikaricp_connections_idle 2", []watch.Gauges{{Pool: "HikariCP", Idle: 2, Leased: -1, Open: -1, Pending: -1, Max: -1}}, 0},
		{"a long line", "x{a=\"" + strings.Repeat("y", 200_000) + "\"} 1\nhikaricp_connections_idle 2\n", []watch.Gauges{{Pool: "HikariCP", Idle: 2, Leased: -1, Open: -1, Pending: -1, Max: -1}}, 0},
		{"other metrics", "\njvm_threads_live 12\nhikaricp_connections_idle_other 3\n", nil, 0},
		{"HTML", "<!doctype html>\n<p>hikaricp_connections_idle 2</p>\n", nil, 0},
		{"Vert.x and Jetty", "vertx_http_client_active_connections{local=\"?\",remote=\"localhost:9090\",} 1.0\njetty_connections_current_connections 4\n", []watch.Gauges{
			{Pool: "Jetty", Idle: -1, Leased: -1, Open: 4, Pending: -1, Max: -1},
			{Pool: "Vert.x remote=localhost:9090", Target: "localhost:9090", Idle: -1, Leased: -1, Open: 1, Pending: -1, Max: -1},
		}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := tc.text
			if !strings.Contains(text, "\n") {
				b, err := os.ReadFile("testdata/" + text)
				if err != nil {
					t.Fatal(err)
				}
				text = string(b)
			}
			got, complaints, err := parse(strings.NewReader(text), known)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" || len(complaints) != tc.complaints {
				t.Errorf("complaints %q, want %d; -want +got\n%s", complaints, tc.complaints, diff)
			}
		})
	}
}

// endless repeats a text.
type endless string

func (e endless) Read(b []byte) (n int, err error) {
	for n < len(b) {
		n += copy(b[n:], e)
	}
	return n, nil
}

func TestTooLarge(t *testing.T) {
	if _, _, err := parse(endless(good), table{}); !errors.Is(err, errTooLarge) {
		t.Errorf("of an answer without an end: %v", err)
	}
}

func TestTooManyPools(t *testing.T) {
	var b strings.Builder
	for i := range maxPools + 7 {
		fmt.Fprintf(&b, "hikaricp_connections_idle{pool=\"%d\"} 1\n", i)
	}
	got, complaints, err := parse(strings.NewReader(b.String()), known)
	if err != nil || len(got) != maxPools || len(complaints) != 7 {
		t.Errorf("%d pools, complaints %q, %v", len(got), complaints, err)
	}
}

func TestNamesFile(t *testing.T) {
	for text, where := range map[string]string{
		"idle x\n":                   ":1:",
		"client a\n\npool\n":         ":3:",
		"client a\nidel x\n":         ":2:",
		"client a\nidle x state\n":   ":2:",
		"client a\ntarget x y z w\n": ":2:",
	} {
		if _, err := parseNames(text); err == nil || !strings.Contains(err.Error(), where) {
			t.Errorf("%q: %v, want the line %s", text, err, where)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"reactor-netty", "okhttp", "apache-hc5", "undici"} {
		b, err := os.ReadFile("testdata/" + name + ".txt")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("{\"http.client.open_connections\", \"http.connection.state\"=\"idle\"} 3 1.5\nhikaricp_connections_max{pool=\"\\\"} 1e400\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, _, err := parse(strings.NewReader(string(b)), known)
		if err != nil {
			t.Fatal(err) // whatever it holds, the rest goes on
		}
		for _, g := range list {
			for _, v := range []float64{g.Idle, g.Leased, g.Open, g.Pending, g.Max} {
				if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 && v != -1 {
					t.Errorf("%+v", g)
				}
			}
		}
	})
}

// endpoint answers once with each handler, and then with the last one.
func endpoint(t *testing.T, handlers ...http.HandlerFunc) *Reader {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := handlers[0]
		if len(handlers) > 1 {
			handlers = handlers[1:]
		}
		h(w, r)
	}))
	t.Cleanup(server.Close)
	r, err := New(strings.Replace(server.URL, "http://", "http://user:secret@", 1), time.Now(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func say(kind, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != "secret" || r.URL.Path != "/metrics" {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", kind)
		fmt.Fprint(w, text)
	}
}

const good = "hikaricp_connections_idle{pool=\"a\"} 2\n"

func TestEndpointsThatFail(t *testing.T) {
	html := say("text/html; charset=utf-8", "<html>")
	for _, tc := range []struct {
		name   string
		answer http.HandlerFunc
		says   string
	}{
		{"HTML", html, "text/html, which is no format of metrics"},
		{"JSON", say("application/vnd.spring-boot.actuator.v3+json", "{}"), "no format of metrics"},
		{"404", http.NotFound, "404 Not Found"},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login?token=x", http.StatusFound) }, "redirects to http://127.0.0.1"},
		{"nothing known", say("text/plain", "up 1\n"), "no gauge of a pool"},
		{"an end in the middle", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, good)
		}, "unexpected EOF"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := endpoint(t, tc.answer, tc.answer, say("text/plain", good))
			list, complaints := r.Read(t.Context())
			if len(list) != 0 || len(complaints) != 1 || !strings.Contains(complaints[0], tc.says) || r.Sees().On {
				t.Errorf("%v, complaints %q, want one with %q; %+v", list, complaints, tc.says, r.Sees())
			}
			for _, c := range append(complaints, r.Sees().Lacks) {
				if strings.Contains(c, "secret") || strings.Contains(c, "token") || !strings.Contains(c, "http://127.0.0.1:") {
					t.Errorf("%q has a secret, or no URL", c)
				}
			}
			if list, complaints := r.Read(t.Context()); len(list)+len(complaints) != 0 {
				t.Errorf("the second time: %v, complaints %q", list, complaints)
			}
			if list, complaints := r.Read(t.Context()); len(list) != 1 || len(complaints) != 0 || !r.Sees().On || r.Sees().Lacks != "" || list[0].At <= 0 {
				t.Errorf("when it answers: %v, complaints %q, %+v", list, complaints, r.Sees())
			}
		})
	}
}

// TestSlowEndpoint: the reader's own limit, made visible by a deadline of the caller that comes earlier.
func TestSlowEndpoint(t *testing.T) {
	r := endpoint(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if list, complaints := r.Read(ctx); len(list) != 0 || len(complaints) != 1 || !strings.Contains(complaints[0], "does not answer") {
		t.Errorf("%v, complaints %q", list, complaints)
	}
}

func TestBadURLs(t *testing.T) {
	for _, url := range []string{"", "x", "localhost:8080", "ftp://x/", "http://", "http://u:secret@[::1", "http://u:secret@/x"} {
		if _, err := New(url, time.Now(), nil); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

// TestDial: the caller chooses how the reader connects, as into another network namespace.
func TestDial(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, good) }))
	defer server.Close()
	var asked []string
	r, err := New("http://nowhere.example:9/x", time.Now(), func(ctx context.Context, network, address string) (net.Conn, error) {
		asked = append(asked, address)
		return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
	})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for range 2 {
		if list, complaints := r.Read(t.Context()); len(list) != 1 {
			t.Errorf("%v, complaints %q", list, complaints)
		}
	}
	if !slices.Equal(asked, []string{"nowhere.example:9"}) {
		t.Errorf("connected to %q, want one connection to nowhere.example:9", asked)
	}
}
