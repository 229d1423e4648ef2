package software

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"
)

type probed struct {
	median, low, high, first, last time.Duration
	kind                           string
	requests                       int
	took                           time.Duration
}

func probe(ctx context.Context, kabench, target string) (probed, error) {
	begin := time.Now()
	u, err := url.Parse(target)
	if err != nil {
		return probed{}, err
	}
	times := make([]time.Duration, 24)
	done := make(chan error)
	for i := range times {
		go func() {
			done <- func() error {
				time.Sleep(time.Duration(i) * 53 * time.Millisecond)
				conn, err := net.Dial("tcp", u.Host)
				if err != nil {
					return err
				}
				defer conn.Close()
				r, _ := http.NewRequest("GET", target, nil)
				r.Write(conn)
				br := bufio.NewReader(conn)
				_, err = http.ReadResponse(br, r)
				if err != nil {
					return err
				}
				at := time.Now()
				b := make([]byte, 10000)
				for err == nil {
					_, err = br.Read(b)
				}
				times[i] = time.Since(at)
				return nil
			}()
		}()
	}
	for range times {
		if err := <-done; err != nil {
			return probed{}, err
		}
	}
	slices.Sort(times)
	return probed{median: times[12], low: times[6], high: times[17], first: times[0], last: times[23], kind: "FIN", requests: 24, took: time.Since(begin)}, nil
}
