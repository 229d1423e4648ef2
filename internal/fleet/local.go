package fleet

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kabench/kabench/internal/fleet/broker"
	"github.com/kabench/kabench/internal/fleet/machine"
)

// Program is kabench, which local agents run.
type Program struct {
	Path string
	Name string // the process's argument 0
}

// local is an agent that the controller has started on its own machine. It is not ended with
// the controller: another controller may take the run up.
type local struct {
	name, dir string
	instance  string // of one that another controller has started
	cmd       *exec.Cmd
	over      chan struct{} // closed when the process has ended

	mu    sync.Mutex
	err   error         // of the process; guarded by mu
	gone  bool          // a process of another controller has ended; guarded by mu
	fetch *exec.Cmd     // delivers what the process has left; guarded by mu
	done  chan struct{} // closed when fetch has ended
}

// localPatience is how long a local agent waits for a controller after its run.
const localPatience = 60 * time.Second

// startLocals starts the agents of this machine, once, and again those that have ended.
func (s *sending) startLocals(dir string) error {
	if !s.Config.Local || s.Config.dial != nil {
		return nil
	}
	for i := range s.Agents {
		if i < len(s.locals) {
			if _, ended := s.locals[i].ended(); !ended {
				continue
			}
		}
		name := fmt.Sprintf("agent-%d", i)
		at := filepath.Join(s.localsIn(dir), name)
		l, err := s.startLocal(name, at)
		if err != nil {
			return fmt.Errorf("agent %s could not be started: %w", name, err)
		}
		if i < len(s.locals) {
			s.locals[i] = l
		} else {
			s.locals = append(s.locals, l)
		}
	}
	return nil
}

// localsIn is where the directories of local agents are.
func (c *Controller) localsIn(dir string) string {
	if c.scratch != "" {
		return filepath.Join(c.scratch, dirLocal)
	}
	return filepath.Join(dir, dirLocal)
}

func (c *Controller) startLocal(name, dir string) (*local, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	l := &local{name: name, dir: dir, over: make(chan struct{})}
	l.cmd, err = c.agentProcess(dir, "--dir", dir, "--name", name, "--allow-any-target")
	if err != nil {
		return nil, err
	}
	go func() {
		err := l.cmd.Wait()
		l.mu.Lock()
		l.err = err
		l.mu.Unlock()
		close(l.over)
	}()
	return l, nil
}

// agentProcess starts 'kabench agent' in a process group of its own, so that a Ctrl-C at the
// terminal reaches only the controller, which stops the run. What it prints goes to a file.
func (c *Controller) agentProcess(dir string, args ...string) (*exec.Cmd, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(dir, fileLog), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	args = append([]string{"agent", "--join", c.url, "--patience", localPatience.String()}, args...)
	if path := cmp.Or(c.agentsPath, c.CredentialsPath); path != "" {
		args = append(args, "--credentials", path)
	}
	cmd := exec.Command(c.Program.Path, args...)
	cmd.Args[0] = c.Program.Name
	cmd.Stdout, cmd.Stderr = log, log
	machine.OwnGroup(cmd)
	return cmd, cmd.Start()
}

// The credentials of local agents and of their broker, in the broker's directory. Without them
// every user of this machine could order the agents, which send to any target.
const (
	fileController = "controller.cred"
	fileAgents     = "agent.cred"
)

// localCredentials reads the credentials that are in the broker's directory, or makes some. path is the file for
// the agents.
func localCredentials(dir string) (own *broker.Credentials, path string, err error) {
	if path, err = filepath.Abs(filepath.Join(dir, fileAgents)); err != nil {
		return nil, "", err
	}
	at := filepath.Join(dir, fileController)
	if own, err = broker.Read(at); err == nil {
		return own, path, nil
	}
	if _, missing := os.Stat(at); missing == nil {
		return nil, "", err
	}
	if err = os.MkdirAll(dir, 0o700); err != nil {
		return nil, "", err
	}
	own, agents, err := broker.Generate(nil)
	if err == nil {
		err = errors.Join(agents.Write(path), own.Write(at))
	}
	return own, path, err
}

// fileLog is what a local agent has printed.
const fileLog = "agent.log"

func (l *local) pid() int {
	if l.cmd == nil {
		return 0
	}
	return l.cmd.Process.Pid
}

// ended reports whether the process has ended, and how.
func (l *local) ended() (why string, ended bool) {
	if l.over == nil { // another controller has started it
		l.mu.Lock()
		defer l.mu.Unlock()
		if !l.gone { // asked no more then: to ask takes the lock, which who delivers wants
			l.gone = !inUse(l.dir)
		}
		return "its process has ended", l.gone
	}
	select {
	case <-l.over:
	default:
		return "", false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	why = "its process has ended"
	if l.err != nil {
		why += " (" + l.err.Error() + ")"
	}
	return why, true
}

// said is the last line that the process has printed; "" if there is none.
func (l *local) said() string {
	data, err := os.ReadFile(filepath.Join(l.dir, fileLog))
	if err != nil {
		return ""
	}
	lines := strings.Split(string(bytes.TrimSpace(data)), "\n")
	return strings.TrimPrefix(lines[len(lines)-1], "kabench: ")
}

// localsLive complains about local agents that have ended although a run is to begin.
func (c *Controller) localsLive() error {
	for _, l := range c.locals {
		if why, ended := l.ended(); ended {
			if said := l.said(); said != "" {
				why += ": " + said
			}
			return fmt.Errorf("agent %s: %s", l.name, why)
		}
	}
	return nil
}

// localOf is the local agent of a seat; nil: it is none.
func (c *Controller) localOf(seat *seat) *local {
	for _, l := range c.locals {
		if l.dir == seat.Dir {
			return l
		}
	}
	return nil
}

// fetchLocal has the results delivered that local agents have left, whose processes have
// ended.
func (s *sending) fetchLocal() {
	for _, seat := range s.state.Seats {
		l := s.localOf(seat)
		if l == nil || seat.here() {
			continue
		}
		if _, ended := l.ended(); !ended {
			continue
		}
		l.mu.Lock()
		if l.done == nil {
			l.done = make(chan struct{})
			cmd, err := s.agentProcess(l.dir, "--deliver", l.dir, "--name", l.name)
			if err != nil {
				s.sayf("the results of %s could not be fetched: %v", l.name, err)
				close(l.done)
			} else {
				l.fetch = cmd
				go func() {
					_ = cmd.Wait() // its log says why
					close(l.done)
					wake(s.changed)
				}()
			}
		}
		l.mu.Unlock()
	}
}

// delivering reports whether what an ended local agent has left may still come.
func (l *local) delivering() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.done == nil {
		return false
	}
	select {
	case <-l.done:
		return false
	default:
		return true
	}
}

// dismissWithin is how long local agents have to end by themselves.
const dismissWithin = 5 * time.Second

// bidAgain is when an agent is asked again that has said that it is at a run: it may be about
// to notice that the run does not begin, or that its results have arrived.
const bidAgain = 250 * time.Millisecond

// dismiss ends the local agents, except those that still send or deliver: they end by
// themselves.
func (c *Controller) dismiss() {
	if c.lock == nil {
		return // the run belongs to another controller, and its agents too
	}
	ctx, cancel := context.WithTimeout(context.Background(), dismissWithin)
	defer cancel()
	var all sync.WaitGroup
	for _, l := range c.locals {
		all.Go(func() {
			var asked time.Time
			signalled := false
			for {
				_, ended := l.ended()
				if ended && !l.delivering() {
					c.tidy(l)
					return
				}
				if !ended && !signalled && time.Since(asked) >= bidAgain {
					signalled = c.bid(ctx, l)
					asked = time.Now()
				}
				if !sleep(ctx, 20*time.Millisecond) {
					c.sayf("agent %s still runs and ends by itself; what it has is in %s", l.name, l.dir)
					return
				}
			}
		})
	}
	all.Wait()
	for _, l := range c.locals {
		_ = os.Remove(filepath.Dir(l.dir)) // if it is empty
	}
}

// bid asks a local agent to end. One that the controller has not heard of yet gets a signal,
// which must not be repeated: a second one means more.
func (c *Controller) bid(ctx context.Context, l *local) (signalled bool) {
	c.mu.Lock()
	instance := l.instance
	for id, m := range c.roster.members {
		if m.Name == l.name {
			instance = id
		}
	}
	c.mu.Unlock()
	switch {
	case instance != "" && c.bus != nil:
		data, _ := encode(order{Protocol: protocol, Controller: c.instance, Kind: orderLeave})
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_, _ = c.bus.request(ctx, subjectOrder+instance, data) // else its patience ends it
	case l.cmd != nil:
		return l.cmd.Process.Signal(syscall.SIGTERM) == nil
	}
	return false
}

// tidy removes the directory of a local agent that has nothing left to deliver.
func (c *Controller) tidy(l *local) {
	if isEmpty(l.dir, fileLock, fileLog) {
		_ = os.RemoveAll(l.dir)
	}
}
