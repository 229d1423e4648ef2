// Package redact takes out of results what must not be shown to others.
//
// A [Redactor] replaces the names and addresses of hosts, paths of files and what
// looks like a secret in a document; [Document] makes a redacted copy of any one.
// [Secrets] knows the credentials that a run sends, and blanks them wherever a
// server returns them, before results are written.
package redact
