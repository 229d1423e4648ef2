package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kabench/kabench/dialers/external/drivers/golang/kit"
)

// place is where a proxy runs, and what it stands before.
type place struct {
	dir      string // its own; removed at its end
	socket   string // a Unix socket, on which the proxy listens to the driver
	upstream string // host:port
	host     string // of the upstream
	tls      bool   // towards the upstream
}

// running is a proxy that runs.
type running struct {
	place    place
	command  *exec.Cmd
	ended    chan struct{}
	journal  *journal
	sessions *sessions
}

// The proxy must listen within startTime, and end within stopTime of being asked to.
const (
	startTime = 10 * time.Second
	stopTime  = 2 * time.Second
)

// hosts are those that can stand in a proxy's configuration: nothing in them ends a
// directive.
var hosts = regexp.MustCompile(`^[\w.:\[\]%-]+$`)

// longestParent keeps the names of sockets below 104 bytes, the least that a system allows.
const longestParent = 60

// launch starts a proxy for the origin of u, and waits until the proxy listens.
//
// The driver and the proxy speak over a Unix socket: it takes no port, leaves no
// TIME_WAIT and is no packet, so what is measured on the network is the proxy's alone.
func launch(s software, name string, u *url.URL, c kit.Config) (*running, error) {
	if !hosts.MatchString(u.Host) {
		return nil, fmt.Errorf("the configuration of %s takes no host like %q", name, u.Host)
	}
	parent := os.TempDir()
	if len(parent) > longestParent {
		parent = "/tmp"
	}
	dir, err := os.MkdirTemp(parent, "kabench-"+name+"-")
	if err != nil {
		return nil, err
	}
	p := place{dir: dir, socket: filepath.Join(dir, "socket"), upstream: u.Host, host: u.Hostname(), tls: u.Scheme == "https"}
	if u.Port() == "" {
		port := "80"
		if p.tls {
			port = "443"
		}
		p.upstream = net.JoinHostPort(u.Hostname(), port)
	}
	argv, err := s.configure(p, c)
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	r := &running{place: p, command: exec.Command(argv[0], argv[1:]...), ended: make(chan struct{}), journal: newJournal()}
	r.sessions = &sessions{path: p.socket}
	r.command.Dir = dir
	r.command.SysProcAttr = endWithDriver()
	read, write, err := os.Pipe()
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	r.command.Stdout, r.command.Stderr = write, write
	err = r.command.Start()
	write.Close()
	if err != nil {
		read.Close()
		os.RemoveAll(dir)
		return nil, err
	}
	go r.journal.read(read)
	go func() { r.command.Wait(); close(r.ended) }()
	if err := r.listens(name); err != nil {
		r.stop()
		return nil, err
	}
	return r, nil
}

// listens waits until the proxy listens. Its error has the last line that the proxy wrote.
func (r *running) listens(name string) error {
	for end := time.Now().Add(startTime); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if conn, err := net.Dial("unix", r.place.socket); err == nil {
			r.sessions.put(newSession(conn))
			return nil
		}
		select {
		case <-r.ended:
			<-r.journal.closed
			return fmt.Errorf("%s ended: %s", name, r.journal.reason())
		default:
		}
	}
	return fmt.Errorf("%s does not listen after %v: %s", name, startTime, r.journal.reason())
}

func (r *running) stop() {
	r.sessions.close()
	r.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-r.ended:
	case <-time.After(stopTime):
		r.command.Process.Kill()
		<-r.ended
	}
	os.RemoveAll(r.place.dir)
}

// authorities is the file of the machine's certificate authorities, as the common
// distributions place it.
func authorities() (string, error) {
	for _, file := range []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"} {
		if _, err := os.Stat(file); err == nil {
			return file, nil
		}
	}
	return "", errors.New("this machine has no file of certificate authorities, such as /etc/ssl/certs/ca-certificates.crt: set insecure, or install ca-certificates")
}

// version runs a program and returns what it prints.
func version(program string, args ...string) (string, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return "", fmt.Errorf("%s is not on this machine", program)
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// journal keeps the latest lines of a proxy's log.
type journal struct {
	closed chan struct{} // the proxy will write no more

	mu    sync.Mutex
	lines []string
	first int           // the number of lines[0], counted from the start of the proxy
	more  chan struct{} // closed when a line comes
}

// journalSize is how many lines are kept: more than there are requests in flight.
const journalSize = 20_000

func newJournal() *journal {
	return &journal{closed: make(chan struct{}), more: make(chan struct{})}
}

func (j *journal) read(from io.ReadCloser) {
	defer close(j.closed)
	defer from.Close()
	in := bufio.NewReader(from)
	for {
		line, err := in.ReadString('\n')
		if line = strings.TrimRight(line, "\n"); line != "" {
			j.mu.Lock()
			if len(j.lines) == journalSize {
				j.lines = append([]string{}, j.lines[journalSize/2:]...)
				j.first += journalSize / 2
			}
			j.lines = append(j.lines, line)
			close(j.more)
			j.more = make(chan struct{})
			j.mu.Unlock()
		}
		if err != nil {
			return
		}
	}
}

// mark is the number of the next line.
func (j *journal) mark() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.first + len(j.lines)
}

// find returns the lines with the text, from the one with this number on, and waits at most
// so long for the first. A proxy writes its log before or shortly after its response.
func (j *journal) find(text string, from int, wait time.Duration) []string {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		j.mu.Lock()
		var found []string
		for i := max(0, from-j.first); i < len(j.lines); i++ {
			if strings.Contains(j.lines[i], text) {
				found = append(found, j.lines[i])
			}
		}
		from = j.first + len(j.lines)
		more := j.more
		j.mu.Unlock()
		if len(found) > 0 {
			return found
		}
		select {
		case <-more:
		case <-timer.C:
			return nil
		}
	}
}

// reason is the line that says most about why the proxy did not start.
func (j *journal) reason() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, line := range j.lines {
		for _, sign := range []string{"[emerg]", "[ALERT]", "[critical]", "[error]"} {
			if strings.Contains(line, sign) {
				return line
			}
		}
	}
	if len(j.lines) == 0 {
		return "it wrote nothing"
	}
	return j.lines[len(j.lines)-1]
}
