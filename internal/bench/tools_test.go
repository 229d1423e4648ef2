package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func toolNamed(t *testing.T, name string) tool {
	t.Helper()
	i := slices.IndexFunc(tools, func(t tool) bool { return t.name == name })
	if i < 0 {
		t.Fatalf("there is no tool %q", name)
	}
	return tools[i]
}

func TestCalls(t *testing.T) {
	const url = "http://127.1.2.3:4567/"
	for _, test := range []struct {
		tool string
		job  job
		want string // the arguments, or why there are none
	}{
		{"kabench", job{rate: 400, seconds: 10, conns: 16},
			"run --target " + url + " --rate 400/s --duration 10s --set pool.max_conns=16 --out DIR/results --json"},
		{"kabench", job{rate: 400, seconds: 10, conns: 16, fresh: true, plain: true},
			"run --target " + url + " --rate 400/s --duration 10s --set pool.max_conns=16 --out DIR/results --json --set pool.max_requests=1 --set target.allow_port_exhaustion=true --no-instruments"},
		{"kabench", job{seconds: 3, conns: 16}, errNoClosedLoop.Error()},
		{"kabench", job{rate: 20_000, seconds: 20, conns: 10_000, each: true},
			"run --target " + url + " --rate 20000/s --duration 20s --set pool.max_conns=1 --out DIR/results --json --set pool.shards=10000"},
		{"kabench", job{rate: 400, seconds: 3, conns: 16, agents: 2},
			"run --target " + url + " --rate 400/s --duration 3s --set pool.max_conns=8 --out DIR/results --json --agents local:2"},
		{"kabench", job{rate: 400, seconds: 3, conns: 16, as: overTLS},
			"run --target " + url + " --rate 400/s --duration 3s --set pool.max_conns=16 --out DIR/results --json --set target.tls.insecure=true"},
		{"kabench", job{rate: 400, seconds: 3, conns: 16, as: overResume},
			"run --target " + url + " --rate 400/s --duration 3s --set pool.max_conns=16 --out DIR/results --json --set target.tls.insecure=true --set target.tls.resume=true"},
		{"vegeta", job{rate: 400, seconds: 10, conns: 16},
			"attack -rate 400/1s -duration 10s -connections 16 -output DIR/vegeta.bin -max-connections 16"},
		{"vegeta-uncapped", job{rate: 400, seconds: 10, conns: 16, fresh: true},
			"attack -rate 400/1s -duration 10s -connections 16 -output DIR/vegeta.bin -keepalive=false -laddr 127.1.2.3"},
		{"wrk", job{rate: 400, seconds: 3, conns: 16}, errNoRate.Error()},
		{"wrk", job{seconds: 3, conns: 16, fresh: true}, "-t 2 -c 16 -d 3s -H Connection: close " + url},
		{"wrk2", job{rate: 30_000, seconds: 3, conns: 16}, "-t 2 -c 16 -d 3s -R 30000 " + url},
		{"h2load", job{rate: 400, seconds: 3, conns: 16}, "--h1 -c 16 -D 3 --rps 25 " + url},
		{"h2load", job{rate: 401, seconds: 3, conns: 16}, "it wants a whole rate per connection, and 401/s over 16 is none"},
		{"h2load", job{rate: 400, seconds: 3, conns: 16, fresh: true}, errNoFresh.Error()},
		{"hey", job{seconds: 3, conns: 16, fresh: true}, "-c 16 -z 3s -disable-keepalive " + url},
		{"hey", job{rate: 400, seconds: 3, conns: 16}, "-c 16 -z 3s -q 25 " + url},
		{"bombardier", job{rate: 400, seconds: 3, conns: 16}, "-c 16 -d 3s -p r -o json -r 400 " + url},
		{"fortio", job{seconds: 3, conns: 16}, "load -quiet -c 16 -t 3s -qps 0 -json - " + url},
		{"vegeta", job{rate: 400, seconds: 3, conns: 16, fresh: true, as: overTLS},
			"attack -rate 400/1s -duration 3s -connections 16 -output DIR/vegeta.bin -max-connections 16 -keepalive=false -laddr 127.1.2.3 -insecure"},
		{"bombardier", job{seconds: 3, conns: 16, as: overResume}, "-c 16 -d 3s -p r -o json -k " + url},
		{"fortio", job{seconds: 3, conns: 16, as: overTLS}, "load -quiet -c 16 -t 3s -qps 0 -json - -k " + url},
		{"oha", job{rate: 400, seconds: 3, conns: 16}, "--no-tui --output-format json -c 16 -z 3s -q 400 --latency-correction " + url},
		{"oha", job{seconds: 3, conns: 16, fresh: true, as: overTLS}, "--no-tui --output-format json -c 16 -z 3s --disable-keepalive --insecure " + url},
		{"k6", job{rate: 400, seconds: 3, conns: 16}, "run --quiet --no-usage-report -"},
		{"k6", job{seconds: 3, conns: 16}, errNoClosedLoop.Error()},
		{"k6", job{rate: 20_000, seconds: 3, conns: 10_000}, "it has a virtual user of some megabytes for each connection"},
		{"httperf", job{rate: 400, seconds: 3, conns: 16, fresh: true, as: overTLS}, errNoTLS.Error()},
		{"httperf", job{rate: 400, seconds: 3, conns: 16, fresh: true},
			"--server 127.1.2.3 --port 4567 --uri / --rate 400 --num-conns 1200 --num-calls 1 --timeout 5"},
	} {
		url := strings.Replace(url, "http://", test.job.as.scheme(), 1)
		test.want = strings.ReplaceAll(test.want, "http://", test.job.as.scheme())
		test.job.url, test.job.dir = url, "DIR"
		c, err := toolNamed(t, test.tool).call(test.job)
		got := strings.Join(c.args, " ")
		if err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s %+v:\n got %s\nwant %s", test.tool, test.job, got, test.want)
		}
	}
}

// What the tools really wrote, shortened.
func TestErrorsOfTools(t *testing.T) {
	const unknown = -1
	for _, test := range []struct {
		tool, out string
		want      int64
	}{
		{"kabench", `{"schema":"kabench.run/v1","counts":{"due":9,"started":7,"dropped":2,"ok":3,"failed":3,"unfinished":1}}`, 6},
		{"kabench", `{}`, unknown},
		{"vegeta", `{"latencies":{},"requests":25,"success":0.96,"status_codes":{"0":1,"200":24},"errors":[]}`, 1},
		{"vegeta", "", unknown},
		{"wrk", "  74436 requests in 1.10s, 2.84MB read\nRequests/sec:  67663.74\nTransfer/sec:      2.58MB\n", 0},
		{"wrk", "  9 requests in 1.10s\n  Socket errors: connect 1, read 2, write 3, timeout 4\n  Non-2xx or 3xx responses: 5\nRequests/sec:  6.7\n", 15},
		{"wrk2", "unable to connect to 127.0.0.1:9 Connection refused\n", unknown},
		{"h2load", "finished in 250us\nrequests: 4 total, 0 started, 0 done, 0 succeeded, 4 failed, 4 errored, 0 timeout\nstatus codes: 0 2xx\n", 4},
		{"h2load", "starting benchmark...\n", unknown},
		{"hey", "  Requests/sec:\t19.8427\nStatus code distribution:\n  [200]\t20 responses\n\n\n", 0},
		{"hey", "  Requests/sec:\t19.8427\nStatus code distribution:\n  [200]\t20 responses\n\nError distribution:\n  [4]\tGet \"http://127.0.0.1:9/\": refused\n  [2]\tEOF\n", 6},
		{"bombardier", `{"spec":{},"result":{"bytesRead":0,"req1xx":0,"req2xx":9,"req3xx":0,"req4xx":0,"req5xx":1,"others":4}}`, 5},
		{"bombardier", "", unknown},
		{"fortio", `{"RunType":"HTTP","RetCodes":{"-1":2,"200":30,"503":1}}`, 3},
		{"oha", `{"summary":{"successRate":1.0},"statusCodeDistribution":{"200":395,"503":2},"errorDistribution":{"aborted due to deadline":4,"connection closed before message completed":3}}`, 5},
		{"oha", "", unknown},
		{"k6", `{"failed":1,"dropped":25,"sent":776}`, 26},
		{"k6", `{}`, unknown},
		{"httperf", "Reply status: 1xx=0 2xx=0\n\nErrors: total 5 client-timo 0 socket-timo 0 connrefused 5 connreset 0\nErrors: fd-unavail 0\n", 5},
	} {
		n, ok := toolNamed(t, test.tool).errors(test.out)
		if !ok {
			n = unknown
		}
		if n != test.want {
			t.Errorf("%s: %d errors in %q, want %d", test.tool, n, test.out, test.want)
		}
	}
}

func TestPlan(t *testing.T) {
	present := []tool{toolNamed(t, "kabench"), toolNamed(t, "wrk"), toolNamed(t, "wrk2"), toolNamed(t, "h2load")}
	entries, left := plan(scenarios(false), present, func(string) bool { return false })
	has := func(scenario, label string) bool {
		return slices.ContainsFunc(entries, func(e entry) bool { return e.scenario.name == scenario && e.label == label })
	}
	for _, want := range []struct {
		scenario, label string
		has             bool
	}{
		{"steady", "kabench", true}, {"steady", "wrk2", true}, {"steady", "wrk", false}, {"fast", "h2load", true},
		{"highest", "wrk", true}, {"highest", "kabench", true}, {"highest", "h2load", true},
		{"fresh", "kabench", manyLoopbacks}, {"fresh", "wrk", manyLoopbacks}, {"fresh", "h2load", false},
		{"overhead", "kabench", true}, {"overhead", "wrk2", false}, {"overhead", bare.name, false},
	} {
		if has(want.scenario, want.label) != want.has {
			t.Errorf("%s in %s: %t", want.label, want.scenario, !want.has)
		}
	}
	for _, want := range []string{"wrk: " + errNoRate.Error()} {
		if !slices.Contains(left["steady"], want) {
			t.Errorf("left out of steady: %q, want %q among them", left["steady"], want)
		}
	}
	if len(left["overhead"]) != 1 || !strings.Contains(left["overhead"][0], plainFlag) {
		t.Errorf("left out of overhead: %q, want the one without instruments", left["overhead"])
	}
	entries, left = plan(scenarios(true), present, func(flag string) bool { return flag == plainFlag })
	if !has("overhead", bare.name) || len(left["overhead"]) != 0 {
		t.Errorf("with %s: left out %q", plainFlag, left["overhead"])
	}
	if has("agents", two.name) || len(left["agents"]) != 1 || has("hour", "wrk2") || !has("hour", "kabench") {
		t.Errorf("agents without %s: left out %q; the hour is kabench's", agentsFlag, left["agents"])
	}
	entries, _ = plan(scenarios(true), present, func(string) bool { return true })
	if !has("agents", two.name) || !has("agents-highest", two.name) || !has("tls", "wrk2") || !has("tls-resumed", "wrk") || !has("kept", "h2load") {
		t.Error("agents, TLS or kept connections are left out")
	}
}

func TestInstallerNamesWhatIsMissing(t *testing.T) {
	in := installer{cache: t.TempDir(), temp: t.TempDir()}
	for _, test := range []struct {
		tool tool
		want string
	}{
		{tool{name: "no-such-tool-1", hint: "build it"}, "no-such-tool-1 is not in PATH; build it"},
		{tool{name: "no-such-tool-2", debian: "its-package"}, "no-such-tool-2 is not in PATH; apt-get install its-package"},
		{tool{name: "y", crate: "no-such-tool-4@1.0.0"}, "no-such-tool-4@1.0.0 is not built yet, and --no-install was given"},
		{tool{name: "x", module: "example.org/x@v1.0.0"}, "example.org/x@v1.0.0 is not built yet, and --no-install was given"},
	} {
		if _, err := exec.LookPath("cargo"); err != nil && test.tool.crate != "" {
			test.want = "no-such-tool-4 is not in PATH, and building it needs cargo: cargo install no-such-tool-4 --version 1.0.0 --locked"
		}
		_, err := in.get(t.Context(), test.tool)
		if err == nil || err.Error() != test.want {
			t.Errorf("%v, want %q", err, test.want)
		}
	}
	if err := in.command(t.Context(), "", "no-such-program-3", "x"); err == nil {
		t.Error("a program that is not there ran")
	}
}
