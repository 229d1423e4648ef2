package host

// Facts are what a run's result says of the machine it was made on.
type Facts struct {
	Kernel    string            // release, as uname -r prints it
	OpenFiles uint64            // soft limit of open files (RLIMIT_NOFILE)
	Sysctls   map[string]string // name -> value; those that could not be read are left out
}
