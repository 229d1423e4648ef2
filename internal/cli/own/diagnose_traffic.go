package own

import (
	"fmt"

	"github.com/kabench/kabench/internal/diagnose"
	"github.com/kabench/kabench/internal/probe"
)

func cannotAim(incident string) string { return "" }

func (d *diagnosing) probe() error     { return nil }
func (d *diagnosing) reproduce() error { return nil }
func (d *diagnosing) verdict() string  { return "" }

// wouldProbe says what the probe would send.
func (d *diagnosing) wouldProbe() diagnose.Sends {
	plan := probe.MakePlan(probe.DefaultRequests)
	limit := d.o.limit
	return diagnose.Sends{
		Step: diagnose.Probe, Connections: plan.Connections(), Requests: plan.Requests(), Seconds: limit.Seconds(),
		What: fmt.Sprintf("at most %d requests on at most %d connections to each address of %s, most of them idle; it ends soon after the server has closed the idle connections, and after %v at the latest", plan.Requests(), plan.Connections(), d.doc.Target, limit),
	}
}
