package autopsy

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/evidence/segments"
)

// mixed returns a world of messages of many forms, in segments of random sizes. A
// few of them are missing, late or sent twice.
func mixed(random *rand.Rand) *world {
	requests := []string{
		"GET /a HTTP/1.1\r\nHost: b\r\n\r\n", "HEAD /a HTTP/1.1\r\nHost: b\r\nConnection: keep-alive\r\n\r\n",
		"POST /c?d HTTP/1.1\r\nContent-Length: 300\r\n\r\n" + strings.Repeat("a=get;", 50),
		"PUT /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhttp/\r\n10\r\n0123456789abcdef\r\n0\r\nTrailer: x\r\n\r\n",
	}
	responses := []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 200 Very Well\r\nTransfer-Encoding: chunked\r\nKeep-Alive: timeout=5, max=100\r\n\r\n1f4\r\n" + strings.Repeat("http/", 100) + "\r\n0\r\n\r\n",
		"HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 800\r\n\r\n" + strings.Repeat("abcd", 200),
	}
	record := func(kind byte, n int) string {
		b := []byte{kind, 3, 3, byte(n >> 8), byte(n)}
		for range n {
			b = append(b, byte(random.IntN(256)))
		}
		return string(b)
	}
	w := &world{}
	for n := range 40 {
		at := time.Duration(n) * 137 * time.Millisecond
		c := w.open(at)
		at += trip
		send := func(up bool, text string) {
			for len(text) > 0 {
				n := min(len(text), 1+random.IntN(400))
				c.send(at, up, data, text[:n], true)
				text, at = text[n:], at+time.Duration(random.IntN(300))*time.Microsecond
			}
			at += trip
		}
		tls := random.IntN(4) == 0
		if tls {
			send(true, record(22, 200))
			send(false, record(22, 1200)+record(20, 1)+record(23, 60))
			send(true, record(20, 1)+record(23, 50))
		}
		for range 1 + random.IntN(4) {
			if tls {
				send(true, record(23, 100+random.IntN(900)))
				send(false, record(23, 100+random.IntN(3000)))
			} else {
				send(true, requests[random.IntN(len(requests))])
				send(false, responses[random.IntN(len(responses))])
			}
			c.lastServed = at
			at += time.Duration(random.IntN(500)) * time.Millisecond
		}
		switch random.IntN(4) {
		case 0:
			c.races(time.Second, time.Duration(random.IntN(5000))*time.Microsecond, "/late")
		case 1:
			c.send(at, true, data, requests[random.IntN(len(requests))][:20], true)
			c.send(at+trip, false, segments.FlagRST|segments.FlagACK, "", true)
		default:
			c.ends(c.closes(time.Second))
		}
	}
	for i := range w.list {
		switch random.IntN(40) {
		case 0: // it overtakes
			w.list[i].sent += time.Duration(random.IntN(2000)) * time.Microsecond
		case 1: // it was sent again
			if w.list[i].Flags&segments.FlagSYN != 0 {
				continue
			}
			again := w.list[i]
			again.ID += 1000
			again.sent += 200 * time.Millisecond
			w.list = append(w.list, again)
		}
	}
	w.damage = func(int) bool { return random.IntN(200) == 0 }
	return w
}

// Whatever the messages look like, and however the capture is damaged, its redacted form
// gives the same verdict. KABENCH_SEEDS is how many captures are tried.
func TestRedactedMixed(t *testing.T) {
	seeds := uint64(40)
	if text := os.Getenv("KABENCH_SEEDS"); text != "" {
		fmt.Sscan(text, &seeds)
	}
	for seed := range seeds {
		random := rand.New(rand.NewPCG(seed, 5))
		w := mixed(random)
		snap := []int{0, 96, 60, 200}[seed%4]
		want, path := shared(t, Options{Files: []string{w.capture(t, seed%2 == 0, 0, snap)}})
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { sameVerdict(t, want, examined(t, Options{Files: []string{path}})) })
	}
}
