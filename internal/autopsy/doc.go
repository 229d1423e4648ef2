// Package autopsy gives a verdict from packet captures and logs: which requests met the end of
// their connection and how, how each server treats idle connections, what the clients
// do, and what these cannot say.
package autopsy
