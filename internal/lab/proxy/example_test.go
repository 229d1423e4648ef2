package proxy_test

import (
	"fmt"
	"io"
	"net/http"

	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/internal/lab/proxy"
	"github.com/kabench/kabench/profiles/script"
)

// A proxy that keeps connections longer than the server does, the wrong order:
// the request that meets the server's close is a 502 to the client, unless the
// proxy sends it again.
func ExampleStart() {
	server, err := lab.Start(script.Server{Fault: script.CloseBeforeResponse, FaultOn: script.OnReused}, "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	for _, retry := range []script.Retry{script.RetryNone, script.RetryIdempotent} {
		proxy, err := proxy.Start(script.Proxy{Upstream: script.Upstream{Retry: retry}}, "", server.Addr())
		if err != nil {
			fmt.Println(err)
			return
		}
		for range 2 {
			resp, err := http.Get(proxy.URL())
			if err != nil {
				fmt.Println(err)
				return
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			fmt.Println(resp.Status)
		}
		http.DefaultClient.CloseIdleConnections()
		proxy.Close()
		seen := proxy.Seen()
		fmt.Println("retry", retry, "-", seen.Requests, "requests,", seen.Attempts, "attempts,", seen.Stale, "on a stale connection")
	}
	// Output:
	// 200 OK
	// 502 Bad Gateway
	// retry none - 2 requests, 2 attempts, 1 on a stale connection
	// 200 OK
	// 200 OK
	// retry idempotent - 2 requests, 3 attempts, 1 on a stale connection
}
