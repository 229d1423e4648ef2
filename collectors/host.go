package collectors

import (
	"runtime"

	"github.com/kabench/kabench/internal/host"
	"github.com/kabench/kabench/results"
)

// HostFacts describes this machine, as far as it can be found out.
func HostFacts() results.Host {
	f := host.ReadFacts()
	return results.Host{
		OS: runtime.GOOS, Arch: runtime.GOARCH, Kernel: f.Kernel, CPUs: runtime.NumCPU(),
		GoVersion: runtime.Version(), OpenFiles: f.OpenFiles, Sysctls: f.Sysctls,
	}
}
