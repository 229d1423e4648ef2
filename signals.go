package kabench

import (
	"os"
	"os/signal"
	"syscall"
)

// StopSignals are the signals that should stop a run in an orderly way, with its results
// written: SIGINT, SIGTERM, and SIGHUP, which a closed terminal sends. SIGHUP is left out
// if this process ignores it, as under nohup.
func StopSignals() []os.Signal {
	if signal.Ignored(syscall.SIGHUP) {
		return []os.Signal{os.Interrupt, syscall.SIGTERM}
	}
	return []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP}
}
