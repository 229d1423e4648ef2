// Package broker is the NATS server between a controller and its agents: one inside this
// process, or one that runs elsewhere.
//
// Start starts a server with JetStream in this process. Dial connects to it, or to any other
// NATS server or cluster. Credentials encrypt the connection and say who may connect; without
// them, both work on the loopback only.
package broker

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	"github.com/nats-io/nats-server/v2/server"
)

// Bounds of a message, in bytes.
const (
	MaxPayload = 1 << 20 // the largest that a Broker accepts: NATS's own default
	MinPayload = 600_000 // what any other broker must accept: a parcel's chunk of 512,000 bytes with its headers, and room
)

// startWithin bounds the time until a Broker accepts connections. It reads its store first.
const startWithin = 60 * time.Second

// Config says how a Broker serves.
type Config struct {
	Listen      string       // host:port; port 0 is any free one, no host is every address
	Dir         string       // where JetStream keeps what was not fetched yet
	Credentials *Credentials // the controller's; nil: none, and Listen must be on the loopback
	// Log, if set, gets the warnings and errors of the server, a line each. It is called by
	// several goroutines.
	Log func(line string)
}

// Broker is a NATS server with JetStream in this process.
type Broker struct {
	server *server.Server
	url    string
	port   int
	lock   *flock.Flock // of the store: two servers would damage it
	once   sync.Once
}

// Start starts a Broker. If Dir holds the store of an earlier one, its streams are there
// again. An error says in one sentence what is wrong and what to do.
func Start(c Config) (*Broker, error) {
	options, err := c.options()
	if err != nil {
		return nil, err
	}
	lock := flock.New(filepath.Join(c.Dir, "lock"))
	switch mine, err := lock.TryLock(); {
	case err != nil:
		return nil, fmt.Errorf("the broker cannot keep its store in %s: %w", c.Dir, err)
	case !mine:
		return nil, fmt.Errorf("another broker keeps its store in %s: wait until it has ended, or end it", c.Dir)
	}
	b, err := c.start(options)
	if err != nil {
		lock.Unlock()
		return nil, err
	}
	b.lock = lock
	return b, nil
}

func (c Config) start(options *server.Options) (*Broker, error) {
	s, err := server.NewServer(options)
	if err != nil {
		return nil, fmt.Errorf("the broker cannot be made: %w", err)
	}
	lines := &lines{print: c.Log}
	s.SetLoggerV2(lines, false, false, false)
	s.Start()
	if err := lines.fatalError(); err != nil {
		s.Shutdown()
		s.WaitForShutdown()
		return nil, c.cannotStart(err)
	}
	if !s.ReadyForConnections(startWithin) {
		s.Shutdown()
		s.WaitForShutdown()
		return nil, fmt.Errorf("the broker was not ready after %s: see whether the disk of %s is too slow or too full", startWithin, c.Dir)
	}
	port := s.Addr().(*net.TCPAddr).Port
	return &Broker{server: s, url: c.url(port), port: port}, nil
}

// URL is where agents reach it. If it listens on every address, this is the loopback's:
// agents on other machines need a name or address of this machine instead.
func (b *Broker) URL() string { return b.url }

// Port is the port that it listens on.
func (b *Broker) Port() int { return b.port }

// Close ends it, and waits until it has ended. Everything that was acknowledged stays in Dir.
func (b *Broker) Close() {
	b.once.Do(func() {
		b.server.Shutdown()
		b.server.WaitForShutdown()
		b.lock.Unlock()
	})
}

// options translates c for NATS.
func (c Config) options() (*server.Options, error) {
	host, portText, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return nil, fmt.Errorf("%q is no address to listen on: write HOST:PORT, or :PORT for every address of this machine", c.Listen)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("%q has no port: write a number from 0 to 65535 after the colon; 0 is any free port", c.Listen)
	}
	if c.Dir == "" {
		return nil, errors.New("the broker has no directory to keep what was not fetched yet: set Dir")
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("the broker cannot keep its store in %s: %w", c.Dir, err)
	}
	if c.Credentials == nil && !loopback(host) {
		return nil, fmt.Errorf("a broker on %q could be used by anyone who reaches it: make credentials for it with kabench fleet credentials, or listen on 127.0.0.1", c.Listen)
	}
	o := &server.Options{
		ServerName:             "kabench",
		Host:                   host,
		Port:                   int(port),
		NoSigs:                 true, // signals are this process's
		DisableJetStreamBanner: true,
		MaxPayload:             MaxPayload,
		PingInterval:           10 * time.Second, // a peer that vanished is noticed within 30 s
		MaxPingsOut:            2,
		JetStream:              true,
		StoreDir:               c.Dir,
		JetStreamMaxMemory:     64 << 20,
		// JetStream acknowledges a message before it is on the disk, and syncs every two
		// minutes, unless this is set: an acknowledged chunk could be lost.
		SyncAlways: true,
	}
	if port == 0 {
		o.Port = server.RANDOM_PORT
	}
	if c.Credentials != nil {
		if err := c.Credentials.serve(o); err != nil {
			return nil, err
		}
	}
	return o, nil
}

func (c Config) url(port int) string {
	scheme := "nats"
	if c.Credentials != nil {
		scheme = "tls"
	}
	host, _, _ := net.SplitHostPort(c.Listen)
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return scheme + "://" + net.JoinHostPort(host, strconv.Itoa(port))
}

// cannotStart says what to do about an error that ended the start.
func (c Config) cannotStart(err error) error {
	var dns *net.DNSError
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("another program listens on %s: choose another port, or port 0 for any free one (%w)", c.Listen, err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%s is no address of this machine: listen on one that is, or write :PORT for every address (%w)", c.Listen, err)
	case errors.Is(err, syscall.EACCES) && c.privileged():
		return fmt.Errorf("this user may not listen on %s: choose a port above 1023 (%w)", c.Listen, err)
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("no space is left on the disk of %s: free some, and start again (%w)", c.Dir, err)
	case errors.As(err, &dns):
		return fmt.Errorf("the host of %s has no address: write an address of this machine (%w)", c.Listen, err)
	}
	return fmt.Errorf("the broker cannot start on %s with its store in %s: %w", c.Listen, c.Dir, err)
}

// privileged reports whether c's port needs rights that users do not have.
func (c Config) privileged() bool {
	_, text, _ := net.SplitHostPort(c.Listen)
	port, err := strconv.Atoi(text)
	return err == nil && port > 0 && port < 1024
}

// loopback reports whether only this machine reaches the host.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
