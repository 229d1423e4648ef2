package main

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// ohaCall returns the call of oha, which hands out requests at its rate to a fixed number
// of workers, each with a connection.
func ohaCall(j job) (call, error) {
	args := []string{"--no-tui", "--output-format", "json", "-c", strconv.Itoa(j.conns), "-z", fmt.Sprintf("%ds", j.seconds)}
	if j.rate > 0 {
		args = append(args, "-q", whole(j.rate), "--latency-correction")
	}
	if j.fresh {
		args = append(args, "--disable-keepalive")
	}
	if j.secure() {
		args = append(args, "--insecure")
	}
	return call{args: append(args, j.url)}, nil
}

func ohaErrors(stdout string) (int64, bool) {
	var out struct {
		Codes  map[string]int64 `json:"statusCodeDistribution"`
		Errors map[string]int64 `json:"errorDistribution"`
	}
	if json.Unmarshal([]byte(stdout), &out) != nil || out.Codes == nil {
		return 0, false
	}
	var n int64
	for code, count := range out.Codes {
		if code != "200" {
			n += count
		}
	}
	for why, count := range out.Errors {
		if why != "aborted due to deadline" { // what was under way at the end
			n += count
		}
	}
	return n, true
}

// mostUsers is how many virtual users k6 is asked for. Each has a JavaScript engine of
// some megabytes.
const mostUsers = 1000

// k6Call returns the call of k6, whose script bench writes. Each of its virtual users has
// a connection of its own.
func k6Call(j job) (call, error) {
	if j.rate == 0 {
		return call{}, errNoClosedLoop
	}
	if j.conns > mostUsers {
		return call{}, fmt.Errorf("it has a virtual user of some megabytes for each connection")
	}
	script := fmt.Sprintf(`import http from 'k6/http';
export const options = {
  scenarios: { all: { executor: 'constant-arrival-rate', rate: %s, timeUnit: '1s', duration: '%ds', preAllocatedVUs: %d, maxVUs: %d, gracefulStop: '1s' } },
  discardResponseBodies: true, noConnectionReuse: %t, insecureSkipTLSVerify: true, noUsageReport: true, systemTags: [],
};
export default function () { http.get('%s'); }
export function handleSummary(data) {
  const of = (name, key) => data.metrics[name] ? data.metrics[name].values[key] : 0;
  return { stdout: JSON.stringify({ failed: of('http_req_failed', 'passes'), dropped: of('dropped_iterations', 'count'), sent: of('http_reqs', 'count') }) };
}
`, whole(j.rate), j.seconds, j.conns, j.conns, j.fresh, j.url)
	return call{args: []string{"run", "--quiet", "--no-usage-report", "-"}, stdin: script}, nil
}

func k6Errors(stdout string) (int64, bool) {
	var out struct {
		Failed, Dropped int64
		Sent            *int64
	}
	if json.Unmarshal([]byte(stdout), &out) != nil || out.Sent == nil {
		return 0, false
	}
	return out.Failed + out.Dropped, true
}
