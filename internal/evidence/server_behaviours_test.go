package evidence

import (
	"strings"
	"testing"
	"time"
)

// behaviours are servers, and what must be said about them. A text that begins with !
// must not be said.
var behaviours = []struct {
	name string
	fill func(*world)
	says string
	also []string
}{
	{"nothing was seen", func(*world) {}, "treats idle connections in a way that was not seen", nil},
	{"the sentence of the issue", func(w *world) {
		w.idleAfter(11, 4995*ms, ms, func(_ int, c *Connection) { c.last().Hint = "timeout=15" })
	}, "closes idle connections after 5.00 s (4.996 to 5.004), by FIN, without saying so; its hint of 15 s is wrong", nil},
	{"one close", func(w *world) { w.idleAfter(1, 2*time.Second, 0, nil) }, "closes idle connections after 2.00 s (one close), by FIN, without saying so", nil},
	{"all alike", func(w *world) { w.idleAfter(9, 2*time.Second, 0, nil) }, "closes idle connections after 2.00 s, by FIN, without saying so", nil},
	{"below a second", func(w *world) { w.idleAfter(20, 500*ms, ms/10, nil) }, "closes idle connections after 501 ms (500 to 502), by FIN, without saying so", nil},
	{"a true hint, if asked for", func(w *world) {
		w.idleAfter(20, 5*time.Second, ms/10, func(i int, c *Connection) {
			if c.last().Asked = i%2 == 0; c.last().Asked {
				c.last().Hint = "timeout=5, max=100"
			}
		})
	}, "closes idle connections after 5.00 s (5.000 to 5.002), by FIN; its hint of 5 s is true, and is given only to requests with Connection: keep-alive", nil},
	{"Node.js: a second later than its hint", func(w *world) {
		w.idleAfter(20, 6*time.Second, ms/10, func(_ int, c *Connection) { c.last().Hint = "timeout=5" })
	}, "closes idle connections after 6.00 s (6.000 to 6.002), by FIN; that is 1.00 s later than its hint of 5 s", nil},
	{"a late hint, if asked for", func(w *world) {
		w.idleAfter(20, 6*time.Second, ms/10, func(i int, c *Connection) {
			if c.last().Asked = i%2 == 0; c.last().Asked {
				c.last().Hint = "timeout=5"
			}
		})
	}, "closes idle connections after 6.00 s (6.000 to 6.002), by FIN; that is 1.00 s later than its hint of 5 s, which is given only to requests with Connection: keep-alive", nil},
	{"a spread of some milliseconds", func(w *world) { w.idleAfter(20, 60*time.Second, 2*ms, nil) },
		"closes idle connections after 60.000 s to 60.038 s (spread; half of them by 60.019 s), by FIN, without saying so", nil},
	{"Tomcat: spread", func(w *world) { w.idleAfter(20, time.Second, 100*ms, nil) },
		"closes idle connections after 1.00 s to 2.90 s (spread; half of them by 1.95 s), by FIN, without saying so", nil},
	{"resets", func(w *world) {
		w.idleAfter(20, 5*time.Second, 0, func(i int, c *Connection) {
			if i > 0 {
				c.Close.How = RST
			}
		})
	}, "closes idle connections after 5.00 s, by RST (19) or FIN (1), without saying so", nil},
	{"close_notify, and the FIN half a minute later", func(w *world) {
		w.idleAfter(20, 2*time.Second, 0, func(_ int, c *Connection) { c.Close.How, c.Close.FIN = Notify, c.Close.At+30*time.Second })
	}, "closes idle connections after 2.00 s, by close_notify, without saying so", []string{"sends the FIN 30.0 s after its close_notify"}},
	{"close_notify, and no FIN", func(w *world) {
		w.idleAfter(20, 2*time.Second, 0, func(_ int, c *Connection) { c.Close.How, c.Until = Notify, c.Close.At+9*time.Second })
	}, "closes idle connections after 2.00 s, by close_notify, without saying so", []string{"sends no FIN within 9.00 s after its close_notify"}},
	{"every close meets a request", func(w *world) { w.arrived(450*ms, ms/5) },
		"closes idle connections after 450 ms, by FIN, without saying so", []string{"idle: closes idle connections after 450 ms, by FIN, without saying so (inferred) no idle connection was seen to be closed"}},
	{"every close meets a request, and one is answered later", func(w *world) {
		w.arrived(450*ms, ms/5)
		c := w.open()
		c.exchange(c.Ready)
		c.exchange(c.done() + 600*ms)
		w.list = append(w.list, c)
	}, "closed 20 of 21 connections when a request had just come, and none while it was idle, so its idle timeout was not seen", nil},
	{"every close may be the request's answer", func(w *world) { w.arrived(450*ms, 2*ms) }, "closed 20 of 20 connections when a request had just come, and none while it was idle, so its idle timeout was not seen", nil},
	{"never closes", func(w *world) {
		w.idleAfter(5, 0, 0, func(_ int, c *Connection) { c.Close, c.Until = Close{At: NotSeen}, c.done()+900*time.Second })
	}, "keeps idle connections longer than 900 s", []string{"!serves"}},
	{"the client closes first", func(w *world) {
		w.idleAfter(50, 4*time.Second, 0, func(_ int, c *Connection) { c.Close.By = ByClient })
	}, "keeps idle connections longer than 4.00 s", nil},
	{"closes after each response, announced", func(w *world) { w.ended(6, 1, announce) },
		"closes the connection after each response, and says so", []string{"!serves"}},
	{"closes after each response, unannounced", func(w *world) { w.ended(6, 1, nil) },
		"closes the connection after each response, without saying so", nil},
	{"closes without a response", func(w *world) {
		for range 5 {
			c := w.open()
			c.unanswered(c.Ready)
			c.closeAt(ByServer, RST, c.Ready+ms)
			w.list = append(w.list, c)
		}
	}, "closes connections without a response, by RST", nil},
	{"a limit of requests, announced", func(w *world) {
		w.idleAfter(20, 5*time.Second, 0, nil)
		w.ended(3, 100, announce)
	}, "closes idle connections after 5.00 s, by FIN, without saying so", []string{"ends connections after 100 responses, and says so"}},
	{"a limit of requests, unannounced", func(w *world) {
		w.idleAfter(20, 5*time.Second, 0, nil)
		w.ended(2, 10, nil)
	}, "closes idle connections after 5.00 s, by FIN, without saying so", []string{"ends connections after 10 responses, without saying so"}},
	{"a limit that one connection showed", func(w *world) {
		w.idleAfter(20, 5*time.Second, 0, nil)
		w.ended(1, 30, nil)
	}, "closes idle connections after 5.00 s, by FIN, without saying so", []string{"ends connections after 30 responses, without saying so (inferred)"}},
	{"Node.js: announces the close and stays", func(w *world) {
		w.idleAfter(20, 5*time.Second, 0, nil)
		w.ended(3, 10, func(c *Connection) {
			announce(c)
			c.exchange(c.done() + ms)
			announce(c)
			c.closeAt(ByServer, FIN, c.done()+5*time.Second)
		})
	}, "closes idle connections after 5.00 s, by FIN, without saying so", []string{"announces the close with response 10 of a connection, and keeps the connection open"}},
	{"no limit within 40", func(w *world) {
		w.idleAfter(20, 5*time.Second, 0, nil)
		w.ended(3, 40, func(c *Connection) { c.closeAt(ByClient, FIN, c.done()) })
	}, "closes idle connections after 5.00 s, by FIN, without saying so", []string{"serves at least 40 requests on a connection", "!ends connections"}},
	{"a wrong max", func(w *world) {
		w.idleAfter(20, 5*time.Second, 0, func(_ int, c *Connection) { c.last().Hint = "timeout=5, max=1000" })
		w.ended(3, 100, announce)
	}, "closes idle connections after 5.00 s, by FIN; its hint of 5 s is true", []string{"its hint max=1000 is wrong: connections end after 100 responses"}},
	{"a lifetime", func(w *world) {
		for i := range 20 { // used until different times, closed 10 s after they were opened
			c := w.open()
			c.exchange(c.Ready)
			c.exchange(c.Ready + time.Duration(i)*450*ms)
			c.closeAt(ByServer, FIN, c.Opened+10*time.Second+time.Duration(i%3)*ms)
			w.list = append(w.list, c)
		}
	}, "keeps idle connections until 10.0 s (10.000 to 10.002) after they were opened", []string{"ends connections 10.0 s (10.000 to 10.002) after they were opened, however they are used"}},
	{"a lifetime, and most connections were used once", func(w *world) {
		for i := range 30 { // as a probe does it; the server counts from its accept, which is late for some
			c := w.open()
			c.exchange(c.Ready)
			if i < 4 {
				c.exchange(c.done() + time.Duration(i+1)*300*ms)
			}
			late := time.Duration(i%3) * ms
			if i == 20 || i == 25 {
				late = 45 * ms
			}
			c.closeAt(ByServer, FIN, c.Opened+5*time.Second+late)
			w.list = append(w.list, c)
		}
	}, "keeps idle connections until 5.00 s (5.000 to 5.002) after they were opened", []string{"ends connections 5.00 s (5.000 to 5.002) after they were opened, however they are used"}},
	{"a lifetime beside an idle timer", func(w *world) {
		w.idleAfter(20, 5*time.Second, ms/10, nil)
		for i := range 20 {
			c := w.open()
			for j := range 14 + i%5 {
				c.exchange(c.Ready + time.Duration(j)*500*ms + time.Duration(i)*20*ms)
			}
			c.closeAt(ByServer, FIN, c.Opened+10*time.Second)
			w.list = append(w.list, c)
		}
	}, "closes idle connections after 5.00 s (5.000 to 5.002), by FIN, without saying so", []string{"ends connections 10.0 s after they were opened, however they are used"}},
	{"a lifetime that the first response after it announces", func(w *world) {
		for i := range 10 {
			c := w.open()
			for at := c.Ready; at < c.Opened+3*time.Second; at += 200*ms + time.Duration(i)*30*ms {
				c.exchange(at)
			}
			c.exchange(c.Opened + 3*time.Second + time.Duration(i)*10*ms)
			announce(&c)
			c.closeAt(ByServer, FIN, c.done())
			w.list = append(w.list, c)
		}
	}, "keeps idle connections longer than 469 ms", []string{"after they were opened, however they are used", "!ends connections after"}},
	{"a lifetime that the same response announces on all connections", func(w *world) { // nginx keepalive_time 1s, probed
		w.idleAfter(16, 2*time.Second, ms/10, nil)
		for i := range 4 {
			c := w.open()
			c.exchange(c.Ready)
			c.exchange(c.Ready + time.Duration(i+1)*372*ms)
			if i < 2 {
				c.closeAt(ByServer, FIN, c.done()+2*time.Second)
			} else {
				announce(&c)
				c.closeAt(ByServer, FIN, c.done())
			}
			w.list = append(w.list, c)
		}
		w.ended(1, 4, func(c *Connection) { c.closeAt(ByServer, FIN, c.done()+2*time.Second) })
	}, "closes idle connections after 2.00 s (2.000 to 2.002), by FIN, without saying so", []string{"after they were opened, however they are used", "!ends connections after"}},
	{"a reload while connections are idle", func(w *world) {
		w.idleAfter(20, 5*time.Second, ms/10, nil)
		at := w.now + 20*time.Second
		for i := range 12 {
			c := w.open()
			c.exchange(at - time.Duration(i+1)*300*ms)
			c.closeAt(ByServer, FIN, at+time.Duration(i)*ms)
			w.list = append(w.list, c)
		}
	}, "closes idle connections after 5.00 s (5.000 to 5.002), by FIN, without saying so",
		[]string{"closed 12 connections within 11.0 ms, by FIN, after idle times of 299 ms to 3.61 s: probably a reload"}},
	{"nothing except a reload", func(w *world) {
		for i := range 12 {
			c := w.open()
			c.exchange(20*time.Second - time.Duration(i+1)*300*ms)
			c.closeAt(ByServer, FIN, 20*time.Second+time.Duration(i)*ms)
			w.list = append(w.list, c)
		}
	}, "keeps idle connections longer than 3.61 s", []string{"closed 12 connections within 11.0 ms"}},
	{"two reloads under load", func(w *world) {
		w.reloaded(16, 5*time.Second)
		w.reloaded(16, 9*time.Second)
	}, "keeps idle connections longer than 17.0 ms", []string{"closed 12 connections within 1.40 ms", "!ends connections after", "!closed 12 connections directly", "!in the path"}},
	{"a limit that differs by connection, under load", func(w *world) {
		for i := range 40 {
			w.now = 0
			c := w.open()
			for n := range 20 + i*3 {
				c.exchange(c.Ready + time.Duration(n*10+i)*ms)
			}
			c.closeAt(ByServer, FIN, c.done()+ms/10)
			w.list = append(w.list, c)
		}
	}, "keeps idle connections longer than 9.00 ms", []string{"closed 40 connections directly after a response", "!reload"}},
	{"timers that are looked at once per second", func(w *world) {
		for i := range 20 { // in two groups of starts
			c := w.open()
			c.exchange(time.Duration(i)*5*ms + time.Duration(i/10)*500*ms)
			c.closeAt(ByServer, FIN, (c.done()+5*time.Second).Truncate(time.Second)+time.Second)
			w.list = append(w.list, c)
		}
	}, "closes idle connections after 5.40 s to 6.00 s (spread; half of them by 5.70 s), by FIN, without saying so", []string{"!two servers", "!reload"}},
	{"a firewall that resets", func(w *world) {
		w.idleAfter(20, 5*time.Second, 0, func(_ int, c *Connection) { c.Close.By, c.Close.How = ByMiddle, RST })
	}, "closes idle connections after 5.00 s, by RST (20 of 20 from a machine in the path), without saying so", nil},
	{"two timers behind one address", func(w *world) {
		w.idleAfter(10, 5*time.Second, ms/10, nil)
		w.idleAfter(10, 60*time.Second, ms/10, nil)
	}, "closes idle connections after 5.00 s (5.000 to 5.001), by FIN, without saying so",
		[]string{"closes other idle connections after 60.0 s (60.000 to 60.001), by FIN: there are probably two servers behind this address, or two timers (inferred)"}},
	{"a backend that closes and one that does not", func(w *world) {
		w.idleAfter(10, 5*time.Second, 0, nil)
		w.idleAfter(10, 0, 0, func(_ int, c *Connection) { c.Close, c.Until = Close{At: NotSeen}, c.done()+9*time.Second })
	}, "closes idle connections after 5.00 s, by FIN, without saying so", []string{"did not close all connections then: 10 were still open after more than 5.00 s, up to 9.00 s"}},
	{"two backends that name themselves", func(w *world) {
		w.idleAfter(10, 5*time.Second, 0, func(_ int, c *Connection) { c.last().Backend = "a" })
		w.idleAfter(10, 7*time.Second, 0, func(_ int, c *Connection) { c.last().Backend = "b" })
	}, "closes idle connections after 5.00 s, by FIN, without saying so",
		[]string{"its backend a closes idle connections after 5.00 s (10 connections)", "its backend b closes idle connections after 7.00 s", "its backends have different idle timeouts"}},
	{"backends behind a proxy", func(w *world) {
		w.idleAfter(10, 5*time.Second, 0, func(_ int, c *Connection) {
			c.last().Backend = "a"
			before := *c.last()
			before.Sent, before.First, before.Done, before.Backend = before.Sent-20*ms, before.First-20*ms, before.Done-20*ms, "b"
			c.Exchanges = append([]Exchange{before}, c.Exchanges...)
		})
	}, "closes idle connections after 5.00 s, by FIN, without saying so", []string{"passes requests of one connection to several of its 2 backends", "!its backend a"}},
	{"fresh connections, and halves of heads", func(w *world) {
		w.idleAfter(20, 5*time.Second, 0, nil)
		for range 3 {
			fresh, half, used := w.open(), w.open(), w.open()
			fresh.closeAt(ByServer, FIN, fresh.Ready+60*time.Second)
			half.Half = half.Ready + ms
			half.Exchanges = []Exchange{{Sent: NotSeen, First: half.Half + 20*time.Second, Done: half.Half + 20*time.Second, Status: 408}}
			half.closeAt(ByServer, FIN, half.Half+20*time.Second)
			used.exchange(used.Ready)
			used.Half, used.Until = used.done()+ms, used.done()+90*time.Second
			w.list = append(w.list, fresh, half, used)
		}
	}, "closes idle connections after 5.00 s, by FIN, without saying so", []string{
		"closes connections on which nothing was sent after 60.0 s, by FIN",
		"closes fresh connections after half a request head after 20.0 s, by FIN, with status 408 (3 of 3)",
		"keeps used connections after half a request head longer than 90.0 s",
	}},
	{"a silent machine in the path", func(w *world) { w.forgotten(Silent) },
		"does not close idle connections, but a machine in the path forgets them after 4.00 s to 5.00 s: the next request gets no response at all, not even an ACK", nil},
	{"a machine in the path that resets", func(w *world) { w.forgotten(RST) },
		"does not close idle connections, but a machine in the path forgets them after 4.00 s to 5.00 s: the next request meets a RST", nil},
	{"late requests", func(w *world) {
		w.idleAfter(20, 5*time.Second, 0, nil)
		for i, how := range []Kind{FIN, FIN, RST} {
			c := w.open()
			c.exchange(c.Ready)
			c.unanswered(c.done() + 5*time.Second + time.Duration(i)*ms)
			c.closeAt(ByServer, how, c.last().Sent+ms)
			w.list = append(w.list, c)
		}
	}, "closes idle connections after 5.00 s, by FIN, without saying so", []string{"meets late requests with a FIN (2), a RST (1)"}},
	{"connections that are not used for a moment", func(w *world) {
		w.idleAfter(20, 5*time.Second, 0, nil)
		c := w.open()
		c.closeAt(ByClient, FIN, c.Ready+3*ms)
		w.list = append(w.list, c)
	}, "closes idle connections after 5.00 s, by FIN, without saying so", []string{"!nothing was sent"}},
	{"errors", func(w *world) {
		w.idleAfter(20, 5*time.Second, 0, func(i int, c *Connection) { c.last().Status = 404 })
	}, "closes idle connections after 5.00 s, by FIN, without saying so", []string{"20 of 20 responses had a status of 400 or more"}},
}

// forgotten adds connections that are used after 1, 2, ... 8 s, and lost from 5 s on.
func (w *world) forgotten(how Kind) {
	for i := range 8 {
		c := w.open()
		c.exchange(c.Ready)
		if i < 4 {
			c.exchange(c.done() + time.Duration(i+1)*time.Second)
			c.Until = c.done() + 100*ms
		} else {
			c.unanswered(c.done() + time.Duration(i+1)*time.Second)
			c.Close = Close{Basis: Seen, By: ByMiddle, How: how, At: c.last().Sent + ms, FIN: NotSeen}
			c.Until = c.last().Sent + 3*time.Second
		}
		w.list = append(w.list, c)
	}
}

// reloaded adds connections that are used every 10 ms, until the server closes them all
// at one moment. Some had just sent a request, which the server resets.
func (w *world) reloaded(n int, at time.Duration) {
	for i := range n {
		w.now = at - 2*time.Second
		c := w.open()
		for next := c.Ready + time.Duration(i)*17*ms; next < at-10*ms; next += 10 * ms {
			c.exchange(next)
		}
		c.exchange(at - 2*ms)
		end := at + time.Duration(i)*ms/10
		c.closeAt(ByServer, FIN, end)
		if i%4 == 0 {
			c.closeAt(ByServer, RST, end)
			c.Unanswered = []Unanswered{{Basis: Seen, Met: Arrived, Sent: end - ms/10, First: NotSeen, Whole: true}}
		}
		w.list = append(w.list, c)
	}
}

// arrived adds connections that the server closes after the idle time, each a moment after a
// request has come.
func (w *world) arrived(idle, moment time.Duration) {
	w.idleAfter(20, idle, 0, func(_ int, c *Connection) {
		sent := c.Close.At - moment
		c.Unanswered = []Unanswered{{Basis: Seen, Met: Arrived, Sent: sent, First: NotSeen, Whole: true}}
	})
}

func TestBehaviours(t *testing.T) {
	for _, b := range behaviours {
		t.Run(b.name, func(t *testing.T) {
			w := newWorld(1)
			b.fill(w)
			s := Infer(w.list)
			if got := s.Sentence(); got != b.says {
				t.Errorf("it says: %s\nwanted:  %s", got, b.says)
			}
			var all strings.Builder
			for _, one := range s.Statements() {
				all.WriteString(one.About + ": " + one.Text + " (" + one.Basis.String() + ") " + one.Why + "\n")
			}
			for _, want := range b.also {
				unwanted, not := strings.CutPrefix(want, "!")
				if strings.Contains(all.String(), unwanted) == not {
					t.Errorf("wanted: %s\nin:\n%s", want, all.String())
				}
			}
		})
	}
}
