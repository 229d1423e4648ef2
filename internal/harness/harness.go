// Package harness has the names of package kabench for those who still call it
// harness.
package harness

import "github.com/kabench/kabench"

type (
	Baseline         = kabench.Baseline
	CompareOptions   = kabench.CompareOptions
	ComparedArm      = kabench.ComparedArm
	InputError       = kabench.InputError
	Options          = kabench.Options
	Progress         = kabench.Progress
	ReproduceOptions = kabench.ReproduceOptions
)

const (
	DefaultCoolDown = kabench.DefaultCoolDown
	InSandbox       = kabench.InSandbox
	MostAgain       = kabench.MostAgain
)

var (
	ErrInterrupted = kabench.ErrInterrupted

	Child       = kabench.Child
	Compare     = kabench.Compare
	PlannedArms = kabench.PlannedArms
	Reproduce   = kabench.Reproduce
	Run         = kabench.Run
	StopSignals = kabench.StopSignals
)
