// Package autopsy gives a verdict from packet captures: which requests met the end of
// their connection and how, how each server treats idle connections, what the clients
// do, and what the captures cannot say.
package autopsy
