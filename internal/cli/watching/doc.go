// Package watching has the command that watches the pool of a service while it runs: watch.
package watching
