package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// service is a service for tests: it calls a URL on connections of its own, each again after
// about the time in the second argument. It sends one request on each, says so, and goes on when
// its standard input has a line. When the input ends, it prints its counts.
func service() {
	const workers = 16
	about, err := time.ParseDuration(os.Args[2])
	if err != nil {
		panic(err)
	}
	var ok, failed atomic.Int64
	call := func(c *http.Client) {
		r, err := c.Post(os.Args[1], "text/plain", nil) // net/http does not send it again
		if err != nil {
			failed.Add(1)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		r.Body.Close()
		ok.Add(1)
	}
	var clients []*http.Client
	for range workers {
		c := &http.Client{Transport: &http.Transport{}}
		call(c)
		clients = append(clients, c)
	}
	fmt.Println("ready")
	in := bufio.NewReader(os.Stdin)
	if _, err := in.ReadString('\n'); err != nil {
		return
	}
	over := make(chan struct{})
	go func() {
		_, _ = in.ReadString('\n')
		close(over)
	}()
	var all sync.WaitGroup
	for i, c := range clients {
		all.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-over:
					return
				case <-time.After(about + time.Duration((n*7+i*3)%11-5)*time.Millisecond):
				}
				call(c)
			}
		})
	}
	all.Wait()
	_ = json.NewEncoder(os.Stdout).Encode(map[string]int64{"ok": ok.Load(), "failed": failed.Load()})
}
