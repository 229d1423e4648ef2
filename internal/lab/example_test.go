package lab_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/profiles/script"
)

// A server that closes after a second request, and the story of its connection.
func ExampleStart() {
	server, err := lab.Start(script.Server{Body: 5, MaxRequests: 2}, "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	for range 2 {
		resp, err := http.Get(server.URL())
		if err != nil {
			fmt.Println(err)
			return
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		fmt.Println(resp.Status, "says close:", resp.Close)
	}
	for server.Seen().ClosedFirst == 0 {
		time.Sleep(time.Millisecond)
	}
	for _, story := range server.Stories() {
		fmt.Println(story.Requests, "requests, then", story.How, "by the", story.First, "because of", story.Why)
	}
	// Output:
	// 200 OK says close: false
	// 200 OK says close: true
	// 2 requests, then fin by the server because of max_requests
}

// A server behind a round trip of 10 ms.
func ExampleStartLink() {
	server, err := lab.Start(script.Server{SayClose: true}, "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	link, err := lab.StartLink(script.Link{Delay: 5 * time.Millisecond}, "", server.Addr())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer link.Close()
	target, err := url.Parse(server.URL())
	if err != nil {
		fmt.Println(err)
		return
	}
	begin := time.Now()
	resp, err := http.Get(link.URL(target).String())
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	fmt.Println(resp.Status, time.Since(begin) >= 10*time.Millisecond)
	// Output: 200 OK true
}
