package kabench_test

import (
	"context"
	"fmt"
	"log"

	"github.com/kabench/kabench"
	"github.com/kabench/kabench/profiles"
)

// A server that closes each connection before it responds.
func ExampleRun() {
	p, err := profiles.Load("example", []byte(`
load: {rate: 100/s, count: 20, max_lag: 0s}
pool: {max_conns: 2}
target: {lab: {fault: close_before_response}}
`), nil)
	if err != nil {
		log.Fatal(err)
	}
	run, err := kabench.Run(context.Background(), p, kabench.Options{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d of %d requests failed\n", run.Counts.Failed, run.Counts.Started)
	for _, o := range run.Outcomes {
		fmt.Printf("%v / %v: %d\n", o.Phase, o.Cause, o.Count)
	}
	// Output:
	// 20 of 20 requests failed
	// before_response / fin: 20
}

// A profile may also be a struct that begins as profiles.Default. Run says what is
// missing.
func ExampleRun_struct() {
	p := profiles.Default()
	p.Pool.MaxConns = 2
	p.Target.URL = "http://127.0.0.1:8080/"
	_, err := kabench.Run(context.Background(), &p, kabench.Options{})
	fmt.Println(err)
	// Output:
	// load.rate: none is given; set it, for example to 100/s
}

func ExampleReproduce() {
	incident, ok := profiles.Find("idle-race")
	if !ok {
		log.Fatal(profiles.NotFound("idle-race"))
	}
	p, err := profiles.Load(incident.Name, []byte(incident.Text), []string{"load.duration=500ms", "load.max_lag=0s"})
	if err != nil {
		log.Fatal(err)
	}
	rep, err := kabench.Reproduce(context.Background(), p, kabench.ReproduceOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("incident:", rep.Incident)
	for _, r := range rep.RemedyRuns {
		fmt.Println("remedy:", r.Remedy)
	}
	// Output:
	// incident: idle-race
	// remedy: idle_timeout below the server's
}

func ExampleCompare() {
	var arms []kabench.ComparedArm
	for _, set := range []string{"pool.max_conns=1", "pool.max_conns=8"} {
		p, err := profiles.Load("example", []byte("load: {rate: 100/s, count: 10, max_lag: 0s}\ntarget: {lab: {delay: 20ms}}\n"), []string{set})
		if err != nil {
			log.Fatal(err)
		}
		arms = append(arms, kabench.ComparedArm{Name: set, Profile: p})
	}
	comparison, err := kabench.Compare(context.Background(), arms, kabench.CompareOptions{Repeats: 2})
	if err != nil {
		log.Fatal(err)
	}
	for _, arm := range comparison.Arms {
		fmt.Println(arm.Name)
	}
	fmt.Println(len(comparison.Runs), "runs")
	// Output:
	// pool.max_conns=1
	// pool.max_conns=8
	// 4 runs
}
