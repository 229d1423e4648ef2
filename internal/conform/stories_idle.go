package conform

import (
	"fmt"
	"strings"
	"time"
)

// ms is a number of milliseconds.
func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

// idleStories ask what happens to idle connections: those that the server leaves open, and
// those that it closes.
func idleStories() []Story {
	var list []Story
	for _, idle := range []time.Duration{ms(300), ms(1500), ms(3000), ms(7500), ms(12000), ms(33000)} {
		slack, closes := ms(200), ms(600)
		if idle > ms(10000) {
			slack, closes = ms(500), ms(1000) // no timer is known to end so near to it
		}
		list = append(list, Story{
			Name:  "idle-alive-" + written(idle),
			Asks:  "The server keeps connections. Is a connection used again after " + written(idle) + " of idleness, or when was it closed?",
			About: AboutIdle, Rounds: []Round{one(0, "GET"), one(idle, "GET")},
			Watch: ms(250), Looks: Looks{Closes: closes}, Slack: slack, Short: idle == ms(300) || idle == ms(3000),
		})
	}
	for _, end := range []End{FIN, RST} {
		for _, method := range []string{"GET", "POST"} {
			for _, age := range []time.Duration{ms(300), ms(1300), ms(2700), ms(11000)} {
				if age > ms(3000) && end == RST {
					continue
				}
				list = append(list, Story{
					Name:  fmt.Sprintf("idle-%s-%s-%s", lower(end), written(age), strings.ToLower(method)),
					Asks:  fmt.Sprintf("The server ends the idle connection by a %v after 60 ms. What happens to a %s after %s?", end, method, written(age)),
					About: AboutIdle, Server: Script{Idle: &Idle{After: ms(60), End: end}},
					Rounds: []Round{one(0, "GET"), one(age, method)},
					Slack:  ms(170), Short: age == ms(300),
				})
			}
			list = append(list, Story{
				Name:  fmt.Sprintf("idle-%s-six-%s", lower(end), strings.ToLower(method)),
				Asks:  fmt.Sprintf("Six idle connections are dead by a %v. What happens to the next three requests, by %s?", end, method),
				About: AboutIdle,
				Server: Script{
					Rules: []Rule{{Through: 6, Act: Act{Quiet: ms(300)}}},
					Idle:  &Idle{After: ms(100), Conns: 6, End: end},
				},
				Rounds: []Round{many(0, "GET", 6, ms(20)), one(ms(400), method), one(ms(400), method), one(ms(400), method)},
				Slack:  ms(220), Short: method == "GET" && end == FIN,
			})
		}
	}
	const timeout408 = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
	for _, method := range []string{"GET", "POST"} {
		for _, end := range []End{FIN, Keep} {
			name, then := "unasked-408-"+strings.ToLower(method), "and closes"
			if end == Keep {
				name, then = "unasked-408-open-"+strings.ToLower(method), "and leaves the connection open"
			}
			list = append(list, Story{
				Name:  name,
				Asks:  fmt.Sprintf("The server sends an unasked 408 on the idle connection, %s. What happens to the next %s?", then, method),
				About: AboutIdle, Server: Script{Idle: &Idle{After: ms(60), Uses: 1, Say: timeout408, End: end}},
				Rounds: []Round{one(0, "GET"), one(ms(300), method)},
				Slack:  ms(170), Short: method == "GET" && end == FIN,
			})
		}
	}
	return list
}

// written writes a time as the names of stories have it: 300ms, 7.5s.
func written(d time.Duration) string { return d.String() }

// lower writes an end as the names of stories have it.
func lower(e End) string { return strings.ToLower(strings.ReplaceAll(e.String(), " ", "-")) }

// String writes an end for a reader.
func (e End) String() string { return [...]string{"keep", "FIN", "RST", "FIN then RST"}[e] }
