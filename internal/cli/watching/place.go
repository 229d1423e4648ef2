package watching

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kabench/kabench/internal/watch/place"
	"github.com/kabench/kabench/internal/watch/sockets"
)

// service is what is watched, by its processes and its network namespace.
type service struct {
	pids    []int
	name    string // of the program
	again   func() ([]int, error)
	looked  time.Duration // when again was called last
	network *place.Network
}

// find finds the processes and the network namespace that the flags name.
func (o *options) find(ctx context.Context) (*service, error) {
	p := &service{}
	var err error
	switch {
	case o.pid != 0:
		p.pids = []int{o.pid}
	case o.container != "":
		p.again = func() ([]int, error) { return place.ByContainer(o.container) }
	case o.pod != "":
		p.again = func() ([]int, error) { return place.ByPod(o.pod) }
	}
	if p.again != nil {
		for p.pids, err = p.again(); o.wait && errors.Is(err, place.ErrNone); p.pids, err = p.again() {
			select {
			case <-time.After(findEvery):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		if err != nil {
			return nil, err
		}
	}
	of := os.Getpid()
	if len(p.pids) > 0 {
		of = p.pids[0]
		if text, err := os.ReadFile("/proc/" + strconv.Itoa(of) + "/comm"); err == nil {
			p.name = strings.TrimSpace(string(text))
		}
	}
	if p.network, err = place.NetworkOf(of); err == nil {
		return p, nil
	}
	switch {
	case errors.Is(err, place.ErrNotLinux):
		return nil, fmt.Errorf("sockets, gauges and packets are watched on Linux only: %w", err)
	case errors.Is(err, place.ErrNoRight):
		return nil, fmt.Errorf("process %d: %w", of, sockets.ErrForeign)
	}
	return nil, err
}

// within calls do in the network namespace of the service.
func (p *service) within(do func() error) error { return p.network.Do(do) }

// dial connects from the network namespace of the service; nil: it is ours.
func (p *service) dial() func(ctx context.Context, network, address string) (net.Conn, error) {
	if p.network.Own() {
		return nil
	}
	return p.network.DialContext
}

// file is the file of the network namespace; "": it is ours.
func (p *service) file() string {
	if p.network.Own() {
		return ""
	}
	return "/proc/" + strconv.Itoa(p.pids[0]) + "/ns/net"
}

// findEvery is how often the processes of a container are looked for.
const findEvery = 5 * time.Second

// renewed returns the processes of a container or pod, if they have changed.
func (p *service) renewed(now time.Duration) ([]int, bool) {
	if p.again == nil || now-p.looked < findEvery {
		return nil, false
	}
	p.looked = now
	pids, err := p.again()
	if err != nil || slices.Equal(pids, p.pids) {
		return nil, false // if all are gone, the next look says so
	}
	p.pids = pids
	return pids, true
}
