package main

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// job is one task of a tool.
type job struct {
	url     string  // http://IP:PORT/, or https
	rate    float64 // per second; 0: as fast as possible
	seconds int
	conns   int    // number of kept connections; with fresh, the number at the same time
	fresh   bool   // a new connection for each request
	each    bool   // requests take the connections in turn, so that all are used
	as      manner // how the server of url speaks
	waiting int    // sockets in TIME_WAIT that there are meanwhile, at least
	plain   bool   // only for kabench: without its instruments
	agents  int    // only for kabench: how many processes share the work; 0: one, which is no agent
	dir     string // an empty directory in which the tool writes
}

// secure reports whether the server speaks TLS. Its certificate cannot be verified.
func (j job) secure() bool { return j.as != overHTTP }

// host returns the IP address and the port of the server.
func (j job) host() (ip, port string) {
	ip, port, _ = strings.Cut(strings.Trim(strings.TrimPrefix(j.url, j.as.scheme()), "/"), ":")
	return ip, port
}

// call is the command line of a tool for a job, without the program's name.
type call struct {
	args  []string
	stdin string
}

// tool is a load generator: how to get it and how to call it.
type tool struct {
	name   string
	open   bool   // its rate does not depend on responses; it takes part in the search for the highest rate
	module string // Go module at an exact version, whose main package is the module's root
	debian string // Debian package of the tool
	crate  string // Rust crate at an exact version, as NAME@VERSION
	hint   string // how else a user can get it
	says   string // the argument with which the tool prints its version; "": it has none
	binary string // its name in PATH, if not name

	// call returns the command line for a job, or why the tool cannot do it.
	call func(job) (call, error)
	// after is the command line of a second call, which sums up the results; its
	// output replaces that of the first. nil: none.
	after func(job) []string
	// errors finds the number of failed or dropped requests in the tool's output;
	// false: the output has none, as after an interrupt.
	errors func(stdout string) (int64, bool)
}

const kabenchName = "kabench"

// tools are kabench and its peers, in the order of the tables.
var tools = []tool{
	{name: kabenchName, open: true, call: kabenchCall, errors: kabenchErrors},
	{name: "vegeta", open: true, module: "github.com/tsenart/vegeta/v12@v12.13.0", call: vegetaCall(true), after: vegetaReport, errors: vegetaErrors},
	{name: "vegeta-uncapped", open: true, binary: "vegeta", module: "github.com/tsenart/vegeta/v12@v12.13.0", call: vegetaCall(false), after: vegetaReport, errors: vegetaErrors},
	{name: "wrk2", open: true, hint: "build github.com/giltene/wrk2 and put it in PATH as wrk2", says: "-v", call: wrkCall(true), errors: wrkErrors},
	{name: "wrk", debian: "wrk", says: "-v", call: wrkCall(false), errors: wrkErrors},
	{name: "h2load", debian: "nghttp2-client", call: h2loadCall, errors: sumOf(`requests: .* (\d+) failed`, 1)},
	{name: "hey", module: "github.com/rakyll/hey@v0.1.4", call: heyCall, errors: heyErrors},
	{name: "bombardier", module: "github.com/codesenberg/bombardier@v1.2.6", call: bombardierCall, errors: bombardierErrors},
	{name: "fortio", module: "fortio.org/fortio@v1.69.5", call: fortioCall, errors: fortioErrors},
	{name: "oha", open: true, crate: "oha@1.16.0", call: ohaCall, errors: ohaErrors},
	{name: "k6", open: true, module: "go.k6.io/k6@v1.8.1", call: k6Call, errors: k6Errors},
	{name: "httperf", debian: "httperf", call: httperfCall, errors: sumOf(`Errors: total (\d+)`, 1)},
}

func whole(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

func kabenchCall(j job) (call, error) {
	if j.rate == 0 {
		return call{}, errNoClosedLoop
	}
	most := j.conns / max(j.agents, 1) // each agent has a pool of its own
	if j.each {
		most = 1 // of as many pools as there are connections, which take turns
	}
	args := []string{"run", "--target", j.url, "--rate", whole(j.rate) + "/s", "--duration", fmt.Sprintf("%ds", j.seconds),
		"--set", fmt.Sprintf("pool.max_conns=%d", most), "--out", j.dir + "/results", "--json"}
	if j.each {
		args = append(args, "--set", fmt.Sprintf("pool.shards=%d", j.conns))
	}
	if j.secure() {
		args = append(args, "--set", "target.tls.insecure=true")
	}
	if j.as == overResume {
		args = append(args, "--set", "target.tls.resume=true")
	}
	if j.agents > 0 {
		args = append(args, agentsFlag, fmt.Sprintf("local:%d", j.agents))
	}
	if j.fresh {
		args = append(args, "--set", "pool.max_requests=1", "--set", "target.allow_port_exhaustion=true")
	}
	if j.plain {
		args = append(args, plainFlag)
	}
	return call{args: args}, nil
}

const (
	// plainFlag makes kabench run without collectors and record.
	plainFlag = "--no-instruments"
	// agentsFlag makes kabench share a run between processes.
	agentsFlag = "--agents"
)

var (
	errNoClosedLoop = fmt.Errorf("it has no closed loop")
	errNoRate       = fmt.Errorf("it cannot offer a rate")
	errNoFresh      = fmt.Errorf("it has no new connection per request")
	errNoTLS        = fmt.Errorf("it does not speak TLS 1.3")
)

func kabenchErrors(stdout string) (int64, bool) {
	var run struct {
		Counts *struct{ Failed, Dropped, Unfinished int64 }
	}
	if json.Unmarshal([]byte(stdout), &run) != nil || run.Counts == nil {
		return 0, false
	}
	return run.Counts.Failed + run.Counts.Dropped + run.Counts.Unfinished, true
}

// vegetaCall returns the call of vegeta. vegeta keeps at most -connections idle
// connections and opens at most -max-connections, without limit by default. It writes a
// results file, which is summed up afterwards.
func vegetaCall(capped bool) func(job) (call, error) {
	return func(j job) (call, error) {
		if j.rate == 0 {
			return call{}, errNoClosedLoop
		}
		args := []string{"attack", "-rate", whole(j.rate) + "/1s", "-duration", fmt.Sprintf("%ds", j.seconds),
			"-connections", strconv.Itoa(j.conns), "-output", j.dir + "/" + vegetaResults}
		if capped {
			args = append(args, "-max-connections", strconv.Itoa(j.conns))
		}
		if j.fresh {
			// vegeta binds its source address, and a bound port is used up for every
			// destination. So each run gets a source address of its own too.
			host, _ := j.host()
			args = append(args, "-keepalive=false", "-laddr", host)
		}
		if j.secure() {
			args = append(args, "-insecure")
		}
		return call{args: args, stdin: "GET " + j.url + "\n"}, nil
	}
}

const vegetaResults = "vegeta.bin"

func vegetaReport(j job) []string {
	return []string{"report", "-type", "json", j.dir + "/" + vegetaResults}
}

func vegetaErrors(report string) (int64, bool) {
	var sum struct {
		Requests *int64           `json:"requests"`
		Codes    map[string]int64 `json:"status_codes"`
	}
	if json.Unmarshal([]byte(report), &sum) != nil || sum.Requests == nil {
		return 0, false
	}
	return *sum.Requests - sum.Codes["200"], true
}

func wrkCall(paced bool) func(job) (call, error) {
	return func(j job) (call, error) {
		if paced == (j.rate == 0) {
			if paced {
				return call{}, errNoClosedLoop
			}
			return call{}, errNoRate
		}
		args := []string{"-t", "2", "-c", strconv.Itoa(j.conns), "-d", fmt.Sprintf("%ds", j.seconds)}
		if paced {
			args = append(args, "-R", whole(j.rate))
		}
		if j.fresh {
			args = append(args, "-H", "Connection: close")
		}
		return call{args: append(args, j.url)}, nil
	}
}

// wrkErrors finds the errors of wrk, which does not mention errors if there are none.
func wrkErrors(stdout string) (int64, bool) {
	if !strings.Contains(stdout, "Requests/sec:") {
		return 0, false
	}
	socket, _ := sumOf(`Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)`, 0)(stdout)
	status, _ := sumOf(`Non-2xx or 3xx responses: (\d+)`, 0)(stdout)
	return socket + status, true
}

// perConn returns the rate per connection, for tools that need it.
func perConn(j job) (string, error) {
	each := j.rate / float64(j.conns)
	if each != math.Trunc(each) {
		return "", fmt.Errorf("it wants a whole rate per connection, and %s/s over %d is none", whole(j.rate), j.conns)
	}
	return whole(each), nil
}

func h2loadCall(j job) (call, error) {
	if j.fresh {
		return call{}, errNoFresh
	}
	args := []string{"--h1", "-c", strconv.Itoa(j.conns), "-D", strconv.Itoa(j.seconds)}
	if j.rate > 0 {
		each, err := perConn(j)
		if err != nil {
			return call{}, err
		}
		args = append(args, "--rps", each)
	}
	return call{args: append(args, j.url)}, nil
}

func heyCall(j job) (call, error) {
	args := []string{"-c", strconv.Itoa(j.conns), "-z", fmt.Sprintf("%ds", j.seconds)}
	if j.rate > 0 {
		each, err := perConn(j)
		if err != nil {
			return call{}, err
		}
		args = append(args, "-q", each)
	}
	if j.fresh {
		args = append(args, "-disable-keepalive")
	}
	return call{args: append(args, j.url)}, nil
}

// heyErrors adds up the errors of hey, which lists each error with its count.
func heyErrors(stdout string) (int64, bool) {
	if !strings.Contains(stdout, "Requests/sec:") {
		return 0, false
	}
	_, list, _ := strings.Cut(stdout, "Error distribution:")
	n, _ := sumOf(`(?m)^\s*\[(\d+)\]\t`, 0)(list)
	return n, true
}

func bombardierCall(j job) (call, error) {
	args := []string{"-c", strconv.Itoa(j.conns), "-d", fmt.Sprintf("%ds", j.seconds), "-p", "r", "-o", "json"}
	if j.rate > 0 {
		args = append(args, "-r", whole(j.rate))
	}
	if j.fresh {
		args = append(args, "-H", "Connection: close")
	}
	if j.secure() {
		args = append(args, "-k")
	}
	return call{args: append(args, j.url)}, nil
}

func bombardierErrors(stdout string) (int64, bool) {
	var out struct {
		Result *struct{ Req1xx, Req3xx, Req4xx, Req5xx, Others int64 }
	}
	if json.Unmarshal([]byte(stdout), &out) != nil || out.Result == nil {
		return 0, false
	}
	r := out.Result
	return r.Req1xx + r.Req3xx + r.Req4xx + r.Req5xx + r.Others, true
}

func fortioCall(j job) (call, error) {
	args := []string{"load", "-quiet", "-c", strconv.Itoa(j.conns), "-t", fmt.Sprintf("%ds", j.seconds), "-qps", whole(j.rate), "-json", "-"}
	if j.fresh {
		args = append(args, "-keepalive=false")
	}
	if j.secure() {
		args = append(args, "-k")
	}
	return call{args: append(args, j.url)}, nil // -qps 0: as fast as possible
}

func fortioErrors(stdout string) (int64, bool) {
	var out struct{ RetCodes map[string]int64 }
	if json.Unmarshal([]byte(stdout), &out) != nil || out.RetCodes == nil {
		return 0, false
	}
	var n int64
	for code, count := range out.RetCodes {
		if code != "200" {
			n += count
		}
	}
	return n, true
}

func httperfCall(j job) (call, error) {
	if !j.fresh || j.rate == 0 {
		return call{}, fmt.Errorf("it offers connections or sessions at a rate, not requests over kept connections")
	}
	if j.secure() {
		return call{}, errNoTLS
	}
	host, port := j.host()
	return call{args: []string{"--server", host, "--port", port, "--uri", "/", "--rate", whole(j.rate),
		"--num-conns", whole(j.rate * float64(j.seconds)), "--num-calls", "1", "--timeout", "5"}}, nil
}

// sumOf returns a function that adds up the groups of all matches of a pattern, and
// reports whether there were at least as many matches as needed.
func sumOf(pattern string, need int) func(string) (int64, bool) {
	re := regexp.MustCompile(pattern)
	return func(text string) (int64, bool) {
		var sum int64
		found := re.FindAllStringSubmatch(text, -1)
		for _, groups := range found {
			for _, digits := range groups[1:] {
				n, err := strconv.ParseInt(digits, 10, 64)
				if err != nil {
					return 0, false
				}
				sum += n
			}
		}
		return sum, len(found) >= need
	}
}
