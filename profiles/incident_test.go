package profiles

import (
	"strings"
	"testing"
	"time"
)

func TestBodySize(t *testing.T) {
	for _, size := range []string{"1", "7", "8", "20"} {
		p, err := Load("p.yaml", []byte(good), []string{"target.body_size=" + size})
		if err != nil {
			t.Fatal(err)
		}
		r, err := Requests(p)
		if err != nil || len(r[0].Body) != p.Target.BodySize || !strings.HasPrefix("kabench kabench kabench ", string(r[0].Body)) {
			t.Errorf("%s: %q, %v", size, r[0].Body, err)
		}
	}
}

// What cannot be sent, or checked, or said, is refused before any traffic.
func TestIncidentComplaints(t *testing.T) {
	remedy := good + "remedies:\n- name: r\n  set: {pool.max_conns: 1}\n  cost: 'dear: {%s}'\n  expect: {failures: '%s'}\n"
	with := func(figure, condition string) string {
		return strings.Replace(strings.Replace(remedy, "%s", figure, 1), "%s", condition, 1)
	}
	for text, want := range map[string]string{
		good + "expect: {failures: < incident}\n":                                                  "only what a remedy expects can name it",
		with("buffer.max", "< incident"):                                                           "",
		with("buffer.max", "< 50% of incident.counts.started"):                                     "",
		with("bufer.max", "0"):                                                                     "{bufer.max}: \"bufer.max\" is not a result; the nearest is buffer.max",
		with("buffer.max", "< incident.countz.ok"):                                                 "the nearest is counts.ok",
		good + "says: {happened: '{counts.okay}'}\n":                                               "the nearest is counts.ok",
		"load: {rate: 1}\ntarget: {lab: {}, body_size: -1}\n":                                      "target.body_size: -1 is not between",
		"load: {rate: 1}\ntarget: {lab: {}, body_size: 999999999}\n":                               "is not between",
		"load: {rate: 1}\ntarget: {lab: {}, body_size: 1, body: x}\n":                              "target.body is a body already",
		"load: {rate: 1}\ntarget: {lab: {}, request_id: true, headers: {x-request-id: a}}\n":       "has an X-Request-Id already",
		"load: {rate: 1}\ntarget: {lab: {}, pipeline: 3}\n":                                        "",
		"load: {rate: 1}\ntarget: {lab: {}, pipeline: 1001}\n":                                     "target.pipeline: 1001 is not between",
		"load: {rate: 1}\ntarget: {lab: {}, pipeline: 3, method: POST}\n":                          "target.pipeline: a request with a body",
		"load: {rate: 1}\ntarget: {lab: {}, pipeline: 3, request_id: true}\n":                      "target.pipeline: not used with request_id",
		"client: stock\nload: {rate: 1}\ntarget: {lab: {}, pipeline: 3}\n":                         "target.pipeline: the stock client",
		"load: {rate: 1}\ntarget: {lab: {}, split_writes: true}\n":                                 "target.split_writes: has no effect without a body",
		"client: stock\nload: {rate: 1, leak_every: 2}\ntarget: {lab: {}}\n":                       "load.leak_every: the stock client",
		"load: {rate: 1, leak_every: 2}\ntarget: {lab: {}, pipeline: 3}\n":                         "load.leak_every: pipelined requests share a connection",
		"load: {rate: 1, leak_every: -2}\ntarget: {lab: {}}\n":                                     "load.leak_every: -2 is below 0",
		good + "pool: {resend_budget: 20}\n":                                                       "pool.resend_budget: has no effect, because resend has no rules",
		good + "pool: {resend: [{on: any, after: [timeout], methods: all, max: 1, path: pool}]}\n": "pool.resend.0.after: timeout never comes, because response_timeout is off",
		"load: {rate: 1}\ntarget: {lab: {stall: {from: a}}}\n":                                     "target.lab.stall: needs two events",
		"load: {rate: 1}\nevents: {a: 1s, b: 2s}\ntarget: {lab: {stall: {from: a, until: b}}}\n":   "",
		"load: {rate: 1}\nevents: {a: 1s}\ntarget: {lab: {stall: {from: a, until: b}}}\n":          "target.lab.stall.until: the event \"b\" does not come",
		"client: stock\nload: {rate: 1}\ntarget: {lab: {}, split_writes: true, body: x}\n":         "target.split_writes: the stock client",
		good + "pool: {on_write_error: stop}\n":                                                    "with liveness: events a response is read as it comes",
		good + "pool: {on_write_error: stop, liveness: probe}\n":                                   "",
	} {
		got := strings.Join(complaints(t, text), "\n")
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s:\n%s\nwant %q", text, got, want)
		}
	}
}

func TestTakes(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"load: {rate: 1, duration: 3s, warm_up: 1s}\ntarget: {lab: {}}\n":                                                                               4 * time.Second,
		"load: {rate: 2, duration: 30s, count: 5}\ntarget: {lab: {}}\n":                                                                                 2 * time.Second,
		"load: {rate: 1, duration: 3s}\ntarget: {lab: {}}\nremedies:\n- {name: a, set: {load.duration: 5s}}\n- {name: b, set: {pool.max_conns: '1'}}\n": 11 * time.Second,
		"load: {rate: 1, duration: 3s, count: 18446744073709551615}\ntarget: {lab: {}}\n":                                                               3 * time.Second,
		// What was sent last is answered later.
		"load: {rate: 10, duration: 3s}\ntarget: {lab: {delay: uniform 1s 3s}, link: {delay: 100ms}}\n":                                 5200 * time.Millisecond,
		"load: {rate: 10, duration: 3s, timeout: 1s}\ntarget: {lab: {delay: 2s}}\n":                                                     4 * time.Second,
		"load: {rate: 10, duration: 3s, timeout: 1s}\ntarget: {lab: {fault: silent}}\nexpect: {failures.before_response.timeout: 30}\n": 4 * time.Second,
		// Nine one after the other, each 200 ms with its handshake.
		"load: {rate: 9000, count: 9}\npool: {max_conns: 1, max_idle: 0}\nnetwork: {hosts: [{name: server}], links: [{between: [client, server], delay: 50ms}]}\ntarget: {lab: {}}\n":                 1800 * time.Millisecond,
		"load: {rate: 9000, count: 9}\nnetwork: {hosts: [{name: server}], links: [{between: [client, server], delay: 50ms, back: {delay: 50ms, bandwidth: 400000}}]}\ntarget: {lab: {body: 10000}}\n": 1900 * time.Millisecond,
		"load: {rate: 40, count: 120}\npool: {pending_max: 1000}\ntarget: {lab: {delay: 200ms, threads: 4}}\n":                                                                                        6 * time.Second,
		"load: {rate: 40, count: 120}\npool: {max_conns: 4, pending_max: 4}\ntarget: {lab: {delay: 200ms}}\n":                                                                                         3175 * time.Millisecond,
	} {
		p, err := Load("p.yaml", []byte(text), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Takes(); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}
