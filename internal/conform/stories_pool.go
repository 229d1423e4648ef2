package conform

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// hintStories ask what a Keep-Alive header of the server does.
func hintStories() []Story {
	var list []Story
	for _, hint := range []struct {
		seconds int
		gaps    []time.Duration
	}{
		{1, []time.Duration{ms(300), ms(1700)}},
		{2, []time.Duration{ms(1500), ms(2700)}},
		{3, []time.Duration{ms(2500), ms(3700)}},
		{60, []time.Duration{ms(6500)}},
	} {
		for _, beside := range []bool{false, true} {
			name, asks := fmt.Sprintf("hint-%ds", hint.seconds), fmt.Sprintf("Keep-Alive: timeout=%d", hint.seconds)
			headers := []string{asks}
			if beside {
				name, asks, headers = name+"-keep-alive", asks+" beside Connection: keep-alive", append(headers, "Connection: keep-alive")
			}
			s := Story{
				Name: name, Asks: "The server says " + asks + ". When does the client close, and what does it use again?",
				About:  AboutHints,
				Server: Script{Rules: []Rule{{Act: Act{Response: Response{Body: 2, Headers: headers}}}}},
				Rounds: []Round{one(0, "GET")}, Watch: ms(250), Looks: Looks{Closes: ms(600)}, Slack: ms(200), Short: hint.seconds <= 2,
			}
			for _, gap := range hint.gaps {
				s.Rounds = append(s.Rounds, one(gap, "GET"))
			}
			list = append(list, s)
		}
	}
	return list
}

// http10Stories ask which responses end the use of a connection.
func http10Stories() []Story {
	var list []Story
	for _, one10 := range []struct {
		name, says string
		response   Response
	}{
		{"http10", "HTTP/1.0 without keep-alive", Response{HTTP10: true}},
		{"http10-keep-alive", "HTTP/1.0 with Connection: keep-alive", Response{HTTP10: true, Headers: []string{"Connection: keep-alive"}}},
		{"close", "Connection: close", Response{Headers: []string{"Connection: close"}}},
	} {
		for _, end := range []End{Keep, FIN} {
			name, then := one10.name, "and leaves the connection open"
			if end == FIN {
				name, then = name+"-fin", "and closes"
			}
			one10.response.Body = 2
			list = append(list, Story{
				Name: name, Asks: fmt.Sprintf("The server responds with %s, %s. Is the connection used again?", one10.says, then),
				About: AboutHTTP10, Server: Script{Rules: []Rule{{Act: Act{Response: one10.response, End: end}}}},
				Rounds: []Round{one(0, "GET"), one(ms(150), "GET"), one(ms(150), "POST")},
				Slack:  ms(100), Short: true,
			})
		}
	}
	return list
}

// orderStories ask which of five idle connections is leased.
func orderStories() []Story {
	// The five are opened 150 ms apart, and come free 200 ms apart in the order 3 5 1 4 2.
	var free []Rule
	for i, delay := range []int{1300, 1550, 600, 1050, 500} {
		free = append(free, Rule{Arrival: i + 1, Through: i + 1, Act: Act{Delay: ms(delay)}})
	}
	held := append(slices.Clone(free), Rule{Arrival: 6, Act: Act{Delay: ms(900)}})
	single := Story{
		Name: "order-five", Asks: "Five idle connections came free in another order than they were opened. Which do six single requests use?",
		About: AboutOrder, Server: Script{Rules: free}, Looks: Looks{Which: true}, Slack: ms(120), Short: true,
		Rounds: []Round{many(0, "GET", 5, ms(150))},
	}
	for range 6 {
		single.Rounds = append(single.Rounds, one(ms(200), "GET"))
	}
	return []Story{single, {
		Name: "order-five-at-once", Asks: "Five idle connections came free in another order than they were opened. In which order do five requests at once take them?",
		About: AboutOrder, Server: Script{Rules: held}, Looks: Looks{Which: true}, Slack: ms(120),
		Rounds: []Round{many(0, "GET", 5, ms(150)), many(ms(300), "GET", 5, ms(150))},
	}}
}

// capStories ask how many connections are opened, how many requests are let through at
// once, and what happens to those that wait.
func capStories() []Story {
	var list []Story
	for _, n := range []int{30, 130, 600} {
		list = append(list, Story{
			Name: fmt.Sprintf("cap-%d", n), Asks: fmt.Sprintf("Of %d requests at once, how many are at the server at the same time?", n),
			About: AboutCaps, Server: Script{Rules: []Rule{{Act: Act{Quiet: ms(350 + n), Once: true}}}}, Looks: Looks{Totals: true}, Slack: ms(300), Patience: ms(10 * n), Alone: true, Short: n == 30,
			Rounds: []Round{many(0, "GET", n, time.Millisecond)},
		})
	}
	bursts := func(name, asks string, n, rounds int) Story {
		s := Story{Name: name, Asks: asks, About: AboutCaps, Server: Script{Rules: []Rule{{Act: Act{Quiet: ms(250)}}}}, Looks: Looks{Totals: true}, Slack: ms(220), Alone: true, Short: n == 10}
		for range rounds {
			s.Rounds = append(s.Rounds, many(ms(40), "GET", n, 0))
		}
		return s
	}
	return append(list,
		bursts("ten-times-ten", "Of ten bursts of ten requests, how many connections are opened?", 10, 10),
		bursts("forty-times-five", "Of five bursts of forty requests, how many connections are opened?", 40, 5),
		Story{
			Name: "queue", Asks: "The server responds to 130 requests at once after 6 s. Which are refused, or give up while they wait for a connection?",
			About: AboutQueues, Server: Script{Rules: []Rule{{Act: Act{Until: 6 * time.Second}}}}, Slack: ms(300), Alone: true,
			Looks: Looks{Totals: true, Ends: ms(700)}, Rounds: []Round{many(0, "GET", 130, time.Millisecond)},
		})
}

// timeStories ask when a client gives up.
func timeStories() []Story {
	var list []Story
	for _, method := range []string{"GET", "POST"} {
		list = append(list, Story{
			Name: "silent-12s-" + strings.ToLower(method), Asks: fmt.Sprintf("The server responds to a %s after 12 s. Does the client wait?", method),
			About: AboutTimes, Server: Script{Rules: []Rule{{Through: 1, Act: Act{Delay: 12 * time.Second}}}},
			Watch: ms(250), Slack: ms(300), Looks: Looks{Ends: ms(700), Closes: ms(700)}, Rounds: []Round{one(0, method), one(ms(100), "GET")},
		})
	}
	return list
}
