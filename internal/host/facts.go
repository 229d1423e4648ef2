package host

// Facts are what the result of a run says about its machine.
type Facts struct {
	Kernel    string            // release, as uname -r prints it
	OpenFiles uint64            // soft limit of open files (RLIMIT_NOFILE)
	Sysctls   map[string]string // by name; without those that could not be read
}
