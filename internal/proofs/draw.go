package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// drawn is a profile that was drawn.
type drawn struct {
	about string // in a few words
	yaml  string
	ports bool // it is about ports that run out
}

// draw draws the i-th profile: a pool, a server, a link and arrivals. Each fifth has a
// private network whose client has few ports.
func draw(seed uint64, i int, lasts time.Duration) drawn {
	d := &drawer{Rand: rand.New(rand.NewPCG(seed, uint64(i)))}
	if i%5 == 4 {
		return d.ports(i, lasts)
	}
	arrivals, load := d.arrivals()
	pool, aboutPool := d.pool()
	server, aboutServer := d.server()
	link := 1 + d.IntN(8)
	yaml := fmt.Sprintf("name: drawn-%d\nload: {%s, duration: %v, warm_up: 0s, timeout: 5s, seed: %d}\npool: {%s}\ntarget:\n  lab: {%s}\n  link: {delay: %dms}\n",
		i, load, lasts, 1+d.IntN(1_000_000), pool, server, link)
	return drawn{about: fmt.Sprintf("%s; %s; %s; link %d ms", arrivals, aboutPool, aboutServer, link), yaml: yaml}
}

// drawer draws parts of profiles.
type drawer struct{ *rand.Rand }

func (d *drawer) between(low, high int) int { return low + d.IntN(high-low+1) }

func (d *drawer) of(list ...string) string { return list[d.IntN(len(list))] }

// arrivals are 20 to 200 requests a second, even, at random, or in bursts.
func (d *drawer) arrivals() (about, load string) {
	rate := d.between(20, 200)
	switch d.IntN(4) {
	case 0:
		return fmt.Sprintf("constant %d/s", rate), fmt.Sprintf("rate: %d/s, arrivals: constant", rate)
	case 1:
		on, off := d.between(100, 400), d.between(300, 1500)
		return fmt.Sprintf("bursts of %d ms at %d/s, silence %d ms", on, rate, off),
			fmt.Sprintf("rate: %d/s, arrivals: {process: burst, on: %dms, off: %dms, off_max: %dms, within: poisson}", rate, on, off, off+100)
	}
	return fmt.Sprintf("poisson %d/s", rate), fmt.Sprintf("rate: %d/s, arrivals: poisson", rate)
}

func (d *drawer) pool() (pool, about string) {
	order, live := d.of("lifo", "fifo"), d.of("events", "events", "probe", "none")
	fields, words := []string{"lease_order: " + order, "liveness: " + live}, []string{order, live}
	if d.IntN(2) == 0 {
		idle := d.between(200, 2500)
		expiry := d.of("lease", "timer", "sweep")
		fields = append(fields, fmt.Sprintf("idle_timeout: %dms, expiry: [%s]", idle, expiry))
		if expiry == "sweep" {
			fields = append(fields, fmt.Sprintf("sweep_every: %dms", d.between(200, 1000)))
		}
		words = append(words, fmt.Sprintf("idle %d ms by %s", idle, expiry))
	}
	if d.IntN(3) == 0 {
		most := d.between(2, 12)
		fields = append(fields, fmt.Sprintf("max_conns: %d, pending_max: %d", most, d.between(0, 20)))
		words = append(words, fmt.Sprintf("at most %d", most))
	}
	if d.IntN(4) == 0 {
		life := d.between(1, 8)
		fields = append(fields, fmt.Sprintf("max_lifetime: %ds", life))
		words = append(words, fmt.Sprintf("lifetime %d s", life))
	}
	if d.IntN(5) == 0 {
		fields = append(fields, "resend: [{on: reused, after: [eof], methods: all, max: 1, path: pool}]")
		words = append(words, "resends")
	}
	return strings.Join(fields, ", "), strings.Join(words, ", ")
}

func (d *drawer) server() (server, about string) {
	idle, delay := d.between(200, 2000), d.between(5, 60)
	fields := []string{fmt.Sprintf("idle_timeout: %dms", idle)}
	words := []string{fmt.Sprintf("server idle %d ms", idle)}
	form := d.of(fmt.Sprintf("%dms", delay), fmt.Sprintf("exp %dms", delay), fmt.Sprintf("uniform %dms %dms", delay/2, delay*3/2))
	fields, words = append(fields, "delay: "+form), append(words, "answers "+form)
	if d.IntN(3) == 0 {
		late := d.between(5, 100)
		fields = append(fields, fmt.Sprintf("idle_late: uniform 0ms %dms", late))
		words = append(words, fmt.Sprintf("late up to %d ms", late))
	}
	if d.IntN(4) == 0 {
		most := d.between(5, 200)
		fields = append(fields, fmt.Sprintf("max_requests: %d", most))
		words = append(words, fmt.Sprintf("%d requests", most))
	}
	return strings.Join(fields, ", "), strings.Join(words, ", ")
}

// ports has a client whose ports run out within the run: no connection is kept.
func (d *drawer) ports(i int, lasts time.Duration) drawn {
	rate := d.between(30, 80)
	count := int(float64(rate)*lasts.Seconds()*0.3) + d.IntN(int(float64(rate)*lasts.Seconds()*0.4)+1)
	arrivals := d.of("constant", "poisson")
	yaml := fmt.Sprintf(`name: drawn-%d
load: {rate: %d/s, arrivals: %s, duration: %v, warm_up: 0s, timeout: 5s, seed: %d}
pool: {max_idle: 0}
target: {lab: {delay: 5ms}}
network:
  hosts: [{name: server}, {name: client, port_range: [40000, %d], sysctls: {net.ipv4.tcp_tw_reuse: "0"}}]
  links: [{between: [client, server], delay: 1ms}]
`, i, rate, arrivals, lasts, 1+d.IntN(1_000_000), 40000+count-1)
	return drawn{about: fmt.Sprintf("%s %d/s, no keep-alive, %d ports", arrivals, rate, count), yaml: yaml, ports: true}
}
