// Package serving decides where kabench serves what it shows of a run, and to whom: only to
// this machine unless the user names another host.
package serving
