package kabench

import (
	"context"

	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// runOnFleet is Run on several agents.
func runOnFleet(ctx context.Context, p *profiles.Profile, opts Options) (*results.Run, error) {
	return nil, inputErrorf("not made yet")
}
