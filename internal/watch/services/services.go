// Package services has real services for tests: each calls a URL at a steady rate through the
// pool of its client, and most show the pool's gauges as metrics. They are built as drivers are,
// with pinned packages, into the cache of 'kabench driver build'.
package services

import (
	"bufio"
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"time"

	"github.com/kabench/kabench/dialers/external/drivers"
)

//go:embed java node python
var sources embed.FS

// Packages of the services in Java, beside those of their clients.
const micrometer = "io.micrometer:micrometer-registry-prometheus:1.17.2"

// All returns the services. Their clients do not send a request a second time by themselves,
// so that a race fails a request.
func All() []drivers.Entry {
	java := func(name, client, version, file string, pins ...string) drivers.Entry {
		return drivers.Entry{
			Name: "service-" + name, Client: client, Version: version, Language: drivers.Java, From: sources,
			Sources: []string{"java/Service.java", "java/" + file + ".java"}, Main: "kabench." + file,
			Pins: append(pins, micrometer),
			// Small heaps: several services run beside each other in tests.
			Flags: []string{"-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"},
		}
	}
	return []drivers.Entry{
		java("reactor-netty", "Reactor Netty", "1.3.6", "ReactorNettyService", "io.projectreactor.netty:reactor-netty-http:1.3.6"),
		java("okhttp", "OkHttp", "5.5.1", "OkHttpService", "com.squareup.okhttp3:okhttp-jvm:5.5.1"),
		java("apache-hc5", "Apache HttpClient 5", "5.6.5", "Hc5Service", "org.apache.httpcomponents.client5:httpclient5:5.6.5"),
		{
			Name: "service-undici", Client: "undici", Version: "7.30.2", Language: drivers.Node, From: sources,
			Sources: []string{"node/undici-service.mjs", "node/package.json", "node/package-lock.json"}, Main: "undici-service.mjs",
		},
		{
			Name: "service-requests", Client: "requests", Version: "2.34.2", Language: drivers.Python, From: sources,
			Sources: []string{"python/requests_service.py", "python/requests.txt=requirements.txt"}, Main: "requests_service.py",
		},
	}
}

// Find returns the service of a client, as reactor-netty.
func Find(client string) (drivers.Entry, error) {
	for _, e := range All() {
		if e.Name == "service-"+client {
			return e, nil
		}
	}
	return drivers.Entry{}, fmt.Errorf("there is no service of %s", client)
}

// Options say what a service does. Zero values are the client's own.
type Options struct {
	URL         string        // what it calls
	Rate        int           // calls a second, at least 1
	Method      string        // "": GET
	Connections int           // cap of the pool
	Idle        time.Duration // after which the client closes an idle connection, in whole milliseconds; requests has none
	Order       string        // of leases in Reactor Netty: fifo or lifo
	Metrics     string        // IP address at which it shows its metrics; "": 127.0.0.1
}

// Args are the command line of o, after the service's own.
func (o Options) Args() []string {
	args := []string{"--url", o.URL, "--rate", strconv.Itoa(max(1, o.Rate))}
	add := func(name, value string) {
		if value != "" && value != "0" {
			args = append(args, "--"+name, value)
		}
	}
	add("method", o.Method)
	add("connections", strconv.Itoa(o.Connections))
	add("idle-ms", strconv.FormatInt(o.Idle.Milliseconds(), 10))
	add("order", o.Order)
	add("metrics-address", o.Metrics)
	return args
}

// Service is a service that runs.
type Service struct {
	PID     int
	Metrics string // URL of its metrics; "": it has none

	cmd   *exec.Cmd
	stdin io.Closer
	lines *bufio.Scanner
	said  bytes.Buffer // its standard error
}

// Report has the counts that a service prints at its end.
type Report struct {
	Sent, OK int
	Errors   map[string]int // the client's own texts of errors, and how often
}

// endTime is how long a service may take to end.
const endTime = 10 * time.Second

// Start starts the service of a client, which must be built, and returns when it shows its
// metrics. The service ends with ctx, by Stop, or when this process ends. start starts a
// command, such as one in a network namespace; nil: (*exec.Cmd).Start.
func Start(ctx context.Context, client string, o Options, start func(*exec.Cmd) error) (*Service, error) {
	e, err := Find(client)
	if err != nil {
		return nil, err
	}
	c, built := e.Built()
	if !built {
		return nil, fmt.Errorf("the service of %s is not built; run .ci/drivers", client)
	}
	argv := append(c.Argv, o.Args()...)
	s := &Service{cmd: exec.CommandContext(ctx, argv[0], argv[1:]...)}
	s.cmd.Stderr = &s.said
	s.cmd.WaitDelay = endTime
	if s.stdin, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if start == nil {
		start = (*exec.Cmd).Start
	}
	if err := start(s.cmd); err != nil {
		return nil, fmt.Errorf("the service of %s: %w", client, err)
	}
	s.PID, s.lines = s.cmd.Process.Pid, bufio.NewScanner(out)
	var ready struct{ Metrics string }
	if err := s.read(&ready); err != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		return nil, fmt.Errorf("the service of %s: %w; it says: %s", client, err, s.said.Bytes())
	}
	s.Metrics = ready.Metrics
	return s, nil
}

// Stop ends the service and returns its report.
func (s *Service) Stop() (Report, error) {
	var r Report
	kill := time.AfterFunc(endTime, func() { _ = s.cmd.Process.Kill() })
	defer kill.Stop()
	_ = s.stdin.Close()
	err := s.read(&r)
	if ended := s.cmd.Wait(); err == nil {
		err = ended
	}
	if err != nil {
		return r, fmt.Errorf("the service: %w; it says: %s", err, s.said.Bytes())
	}
	return r, nil
}

// read reads a line of JSON.
func (s *Service) read(into any) error {
	if !s.lines.Scan() {
		if err := s.lines.Err(); err != nil {
			return err
		}
		return io.ErrUnexpectedEOF
	}
	return json.Unmarshal(s.lines.Bytes(), into)
}
