package conform

import (
	"fmt"
	"strings"
)

var methods = []string{"GET", "POST", "PUT"}

// raceStories ask what happens to a request on a reused connection that the server ends
// without a response, as if its FIN and the request had crossed.
func raceStories() []Story {
	var list []Story
	for _, end := range []End{FIN, RST, FINThenRST} {
		for _, method := range methods {
			list = append(list, Story{
				Name:  fmt.Sprintf("race-%s-%s", lower(end), strings.ToLower(method)),
				Asks:  fmt.Sprintf("A %s on a reused connection meets a %v instead of a response. Is it sent again?", method, end),
				About: AboutRaces, Server: Script{Rules: []Rule{{From: 2, Act: Act{Cut: Nothing, End: end}}}},
				Rounds: []Round{one(0, "GET"), one(ms(120), method)},
				Slack:  between, Short: end != FINThenRST && method != "PUT",
			})
		}
		for _, method := range []string{"GET", "POST"} {
			list = append(list, Story{
				Name:  fmt.Sprintf("race-%s-six-%s", lower(end), strings.ToLower(method)),
				Asks:  fmt.Sprintf("Six idle connections look alive, and each meets its next request with a %v. How often is a %s sent?", end, method),
				About: AboutRaces, Server: Script{Rules: []Rule{{Through: 6, Act: Act{Quiet: ms(300)}}, {From: 2, Act: Act{Cut: Nothing, End: end}}}},
				Rounds: []Round{many(0, "GET", 6, ms(20)), one(ms(150), method), one(ms(100), method)},
				Slack:  ms(200), Short: end == FIN && method == "GET",
			})
		}
	}
	return list
}

// resendStories ask how often a request is sent whose fresh connection fails.
func resendStories() []Story {
	var list []Story
	for _, end := range []End{FIN, RST} {
		for _, method := range methods {
			m := strings.ToLower(method)
			fail := Act{Cut: Nothing, End: end}
			list = append(list,
				Story{
					Name:  fmt.Sprintf("fresh-%s-%s", lower(end), m),
					Asks:  fmt.Sprintf("A %s on a fresh connection meets a %v, and then the server is well. Is it sent again?", method, end),
					About: AboutResends, Server: Script{Rules: []Rule{{Through: 1, Act: fail}}},
					Rounds: []Round{one(0, method)}, Slack: ms(200), Short: method != "PUT",
				},
				Story{
					Name:  fmt.Sprintf("fresh-%s-always-%s", lower(end), m),
					Asks:  fmt.Sprintf("Every %s meets a %v. How often is it sent?", method, end),
					About: AboutResends, Server: Script{Rules: []Rule{{Act: fail}}},
					Rounds: []Round{one(0, method)}, Slack: ms(200), Short: method == "GET",
				},
				Story{
					Name:  fmt.Sprintf("then-%s-%s", lower(end), m),
					Asks:  fmt.Sprintf("A %s on a reused connection meets a %v, and so does every attempt after it. How often is it sent?", method, end),
					About: AboutResends, Server: Script{Rules: []Rule{{Arrival: 2, Act: fail}}},
					Rounds: []Round{one(0, "GET"), one(ms(120), method)}, Slack: ms(200), Short: method == "GET",
				})
		}
	}
	return list
}

// cutStories ask how a request ends whose response is cut, and whether
// the request is sent again.
func cutStories() []Story {
	var list []Story
	for _, cut := range []struct {
		name, where string
		cut         Cut
		response    Response
	}{
		{"status", "within the status line", InStatus, Response{Body: 100}},
		{"after-status", "after the status line", AfterStatus, Response{Body: 100}},
		{"headers", "within the headers", InHeaders, Response{Body: 100}},
		{"after-headers", "after the headers", AfterHeaders, Response{Body: 100}},
		{"length", "within a body with Content-Length", InBody, Response{Body: 100}},
		{"chunk", "within a chunk", InBody, Response{Body: 100, Framing: Chunked}},
		{"chunks", "after a whole chunk", BetweenChunks, Response{Body: 100, Framing: Chunked}},
		{"until-close", "within a body that ends with the connection", InBody, Response{Body: 100, Framing: UntilClose}},
	} {
		for _, end := range []End{FIN, RST} {
			for _, on := range []struct {
				name, what, method string
				rule               Rule
				rounds             []Round
			}{
				{"", "a GET on a fresh connection", "GET", Rule{Through: 1}, nil},
				{"-reused", "a GET on a reused connection", "GET", Rule{Arrival: 2, Through: 2}, []Round{one(0, "GET")}},
				{"-reused-post", "a POST on a reused connection", "POST", Rule{Arrival: 2, Through: 2}, []Round{one(0, "GET")}},
			} {
				rule := on.rule
				rule.Act = Act{Cut: cut.cut, Response: cut.response, End: end}
				list = append(list, Story{
					Name:  fmt.Sprintf("cut-%s-%s%s", cut.name, lower(end), on.name),
					Asks:  fmt.Sprintf("The response to %s is cut %s by a %v. How does the request end?", on.what, cut.where, end),
					About: AboutCuts, Server: Script{Rules: []Rule{rule}},
					Rounds: append(on.rounds, one(ms(100), on.method), one(ms(100), "GET")),
					Slack:  between, Short: on.name == "-reused",
				})
			}
		}
	}
	return list
}
