package software

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/kabench/kabench/internal/evidence"
	engine "github.com/kabench/kabench/internal/probe"
)

type probed struct {
	median, low, high, first, last time.Duration
	closes                         int
	kind                           string
	requests                       int
	took                           time.Duration
}

func probe(ctx context.Context, kabench, target string) (probed, error) {
	ta, err := engine.Resolve(ctx, engine.Request{URL: target})
	if err != nil {
		return probed{}, err
	}
	r, err := engine.Run(ctx, ta, engine.Options{})
	if err != nil {
		return probed{}, err
	}
	if len(r.Sites) != 1 {
		return probed{}, fmt.Errorf("%d sites", len(r.Sites))
	}
	s := evidence.Infer(r.Sites[0].Connections)
	if os.Getenv("DUMP") != "" {
		b, _ := json.MarshalIndent(s, "", " ")
		fmt.Println(target, s.Sentence(), string(b), r.Sites[0].Notes, r.Sites[0].Ended, r.Late, r.Requests, s.Requests)
	}
	return probed{median: s.Idle.Median, low: s.Idle.Low, high: s.Idle.High, first: s.Idle.Min, last: s.Idle.Max, closes: s.Idle.Closes,
		kind: s.Close.String(), requests: r.Requests, took: r.Took}, nil
}
