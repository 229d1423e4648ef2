package parcel

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/kabench/kabench/internal/fleet/broker"
)

// TestCluster: on a cluster the stream is on three servers, and one of them may end.
func TestCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for elections")
	}
	ctx := within(t)
	servers := cluster(t)
	var urls []string
	for _, s := range servers {
		urls = append(urls, s.ClientURL())
	}
	nc := dialRetry(t, ctx, strings.Join(urls, ","))
	key := Key{Run: "r", Agent: 1}
	if err := Open(ctx, nc, key.Run); err != nil {
		t.Fatal(err)
	}
	s, _ := streamOf(t, ctx, nc, key.Run)
	if n := s.CachedInfo().Config.Replicas; n != 3 {
		t.Fatalf("%d replicas, want 3", n)
	}
	from, to := results(t, 10_000_000), filepath.Join(t.TempDir(), "1")
	leader := s.CachedInfo().Cluster.Leader
	stop := func() {
		for _, server := range servers {
			if server.Name() == leader {
				server.Shutdown()
			}
		}
	}
	if _, err := Send(ctx, nc, key, from, Options{Progress: once(0.4, stop)}); err != nil {
		t.Fatal(err)
	}
	if _, err := Receive(ctx, nc, key, to, Options{}); err != nil {
		t.Fatal(err)
	}
	equal(t, from, to)
}

// dialRetry dials until a new cluster has elected its leader.
func dialRetry(t *testing.T, ctx context.Context, url string) *nats.Conn {
	t.Helper()
	for {
		nc, err := broker.Dial(ctx, url, nil, "test")
		if err == nil {
			t.Cleanup(nc.Close)
			return nc
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

// cluster starts three servers that know each other.
func cluster(t *testing.T) (list []*server.Server) {
	t.Helper()
	var routes string
	for i := range 3 {
		o := &server.Options{
			ServerName: fmt.Sprintf("s%d", i), Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
			JetStream: true, StoreDir: t.TempDir(),
			Cluster: server.ClusterOpts{Name: "c", Host: "127.0.0.1", Port: server.RANDOM_PORT},
			Routes:  server.RoutesFromStr(routes),
		}
		s, err := server.NewServer(o)
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
		for s.ClusterAddr() == nil {
			time.Sleep(10 * time.Millisecond)
		}
		routes = "nats://" + s.ClusterAddr().String()
		list = append(list, s)
	}
	for _, s := range list {
		if !s.ReadyForConnections(time.Minute) {
			t.Fatal("a server of the cluster is not ready")
		}
	}
	return list
}
