package evidence_test

import (
	"fmt"
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

// A server closes 20 connections between 4.995 and 5.005 s after its response, which
// announces 15 s.
func ExampleInfer() {
	var seen []evidence.Connection
	for i := range 20 {
		opened := time.Duration(i) * 53 * time.Millisecond
		used := opened + time.Duration(i%5)*100*time.Millisecond
		seen = append(seen, evidence.Connection{
			Opened: opened, Ready: opened, Half: evidence.NotSeen,
			Exchanges: []evidence.Exchange{{Sent: used, First: evidence.NotSeen, Done: used, Status: 200, Hint: "timeout=15"}},
			Close: evidence.Close{
				Basis: evidence.Seen, By: evidence.ByServer, How: evidence.FIN,
				At: used + 4995*time.Millisecond + time.Duration(i)*500*time.Microsecond, FIN: evidence.NotSeen,
			},
		})
	}
	server := evidence.Infer(seen)
	fmt.Println("It", server.Sentence())
	for _, s := range server.Statements() {
		fmt.Printf("%s (%s): %s\n", s.About, s.Basis, s.Why)
	}
	// Output:
	// It closes idle connections after 5.00 s (4.997 to 5.003), by FIN, without saying so; its hint of 15 s is wrong
	// idle (seen): 20 idle connections were closed after 4.995 s to 5.005 s
	// hint (seen): an idle connection was closed 10.0 s earlier
}
