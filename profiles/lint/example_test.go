package lint_test

import (
	"fmt"

	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/lint"
)

// The client keeps idle connections for longer than the server does.
func ExampleCheck() {
	p, err := profiles.Load("mine.yaml", []byte(`
load: {rate: 400/s}
pool: {idle_timeout: 90s}
target: {url: http://shop.test/}
server: {idle_timeout: 60s, delay: 50ms}
`), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	list := lint.Check(p, lint.Options{})
	for _, f := range list.Findings {
		fmt.Println(f.Rule, "at", f.Path)
		fmt.Println(f.Numbers[0], "and", f.Numbers[1])
		fmt.Println("set", f.Set)
	}
	fmt.Println("facts that are missing:", list.Lacking)
	// Output:
	// idle-order at pool.idle_timeout
	// pool.idle_timeout 1m30s and server.idle_timeout 1m0s
	// set pool.idle_timeout=54s, or less
	// facts that are missing: [max-requests-order (server.max_requests) connections (server.max_connections, server.threads, server.backlog)]
}
