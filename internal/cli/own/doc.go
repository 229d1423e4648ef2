// Package own has the commands for a reader's own incident: what their server does, what
// their log line means, what their capture shows.
package own
