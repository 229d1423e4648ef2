package faults

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/kabench/kabench/internal/cli"
	fleets "github.com/kabench/kabench/internal/fleet"
	"github.com/kabench/kabench/internal/fleet/broker"
)

// play is the main function of a copy of the test binary that is a process of a fleet.
func play(role string, args []string) int {
	var err error
	switch role {
	case "broker":
		err = playBroker(args)
	case "agent":
		err = playAgent(args)
	default:
		err = fmt.Errorf("there is no role %q", role)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// playBroker is a broker in a process of its own, until it is killed: LISTEN DIR CREDENTIALS.
func playBroker(args []string) error {
	credentials, err := broker.Read(args[2])
	if err != nil {
		return err
	}
	b, err := broker.Start(broker.Config{Listen: args[0], Dir: args[1], Credentials: credentials})
	if err != nil {
		return err
	}
	fmt.Println(b.URL())
	select {}
}

// playAgent is an agent whose clock is wrong, until it is killed: URL CREDENTIALS NAME DIR
// ALLOWED SKEW DRIFT. It prints when its clock was SKEW ahead, in nanoseconds since 1970.
func playAgent(args []string) error {
	credentials, err := broker.Read(args[1])
	if err != nil {
		return err
	}
	allowed, err := fleets.ParseAllowed([]string{args[4]})
	if err != nil {
		return err
	}
	skew, err := time.ParseDuration(args[5])
	if err != nil {
		return err
	}
	drift, err := strconv.ParseFloat(args[6], 64)
	if err != nil {
		return err
	}
	clock := fleets.SkewedClock(skew, drift)
	fmt.Println(time.Now().UnixNano())
	a := fleets.Agent{
		URL: args[0], Credentials: credentials, Name: args[2], Dir: args[3], Allowed: allowed, Version: cli.Version(), Clock: clock,
		Say: func(line string) { fmt.Fprintln(os.Stderr, line) },
	}
	return a.Run(context.Background())
}
