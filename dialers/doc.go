// Package dialers performs HTTP/1.1 exchanges over connections that it keeps
// under a stated policy, and says in which phase and why each one ended.
//
// A [Client] does so over connections of its own. Prepare requests with
// [NewRequest], state the rules of the pool in a pool.Policy, and perform
// exchanges one by one:
//
//	client, err := dialers.NewClient(dialers.Config{
//		Policy:   pool.Default(),
//		Requests: []*dialers.Request{request},
//		Timeout:  5 * time.Second,
//	})
//	client.Do(ctx, exchange)
//	fmt.Println(exchange.Phase, exchange.Cause)
//
// Under load a Client is a generator.Engine: generator.Open starts exchanges when
// they are due, and everything is done on the goroutine of that loop. It sends a
// request again only where the policy's resend rules say so.
//
// [Stock] performs exchanges over net/http's Transport as shipped, for comparison,
// and counts the requests that the Transport sends again without telling. It is a
// generator.Doer.
//
// [Classify] is the step from what was seen of an exchange, its [Facts], to the
// phase and the cause. It uses the values of errors and never their texts, and can
// be used alone.
//
// exchange.go is the path of one request through a Client, from top to bottom.
package dialers
