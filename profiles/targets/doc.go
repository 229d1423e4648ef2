// Package targets reads the requests that a run sends from a file in one of
// vegeta's formats, http or json.
//
// [Parse] is strict: what vegeta's own parsers drop silently, such as a header
// without a value, is an error here. The error names the target and its line, and
// never quotes a header's value or a body, which may be secret.
package targets
