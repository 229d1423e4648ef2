// Package redact removes from results what must not be shown to others.
//
// A [Redactor] replaces names and addresses of hosts, paths of files, and text that
// looks like a secret. [Document] makes a redacted copy of any document. [Secrets]
// knows the credentials that a run sends. Before results are written, it blanks
// these credentials wherever a server returned them.
package redact
