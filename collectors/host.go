package collectors

import (
	"os"
	"regexp"
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
		Commit: commit(os.Getenv),
	}
}

// commitForm is the form of the id of a commit, whole or abbreviated.
var commitForm = regexp.MustCompile(`^[0-9a-f]{7,64}$`)

// commit returns the commit that a CI job is about, from the variables of GitHub
// Actions, GitLab and Jenkins, or from KABENCH_COMMIT, which overrides them; "" if none
// holds a commit.
func commit(variable func(name string) string) string {
	for _, name := range []string{"KABENCH_COMMIT", "GITHUB_SHA", "CI_COMMIT_SHA", "GIT_COMMIT"} {
		if id := variable(name); commitForm.MatchString(id) {
			return id
		}
	}
	return ""
}
