package kabench

import (
	"github.com/kabench/kabench/dialers/external"
	"github.com/kabench/kabench/internal/target"
	"github.com/kabench/kabench/profiles"
)

// sight is who sees what a real client does on its connections.
type sight struct{}

// open begins to look. The error is a warning of the run: nobody can.
func (s *sight) open(p *profiles.Profile, t *target.Target) error { return nil }

func (s *sight) witness() external.Witness { return nil }

func (s *sight) close() {}
