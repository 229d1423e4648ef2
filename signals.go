package kabench

import (
	"os"
	"os/signal"
	"syscall"
)

// StopSignals are those that stop a run in order, its results written: SIGINT,
// SIGTERM, and SIGHUP, which a closed terminal sends, unless this process was
// started to ignore that one, as by nohup.
func StopSignals() []os.Signal {
	if signal.Ignored(syscall.SIGHUP) {
		return []os.Signal{os.Interrupt, syscall.SIGTERM}
	}
	return []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP}
}
