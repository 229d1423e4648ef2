// Package targets reads what is sent to a target: one request of a profile, or a list of
// requests from a target file in vegeta's formats.
package targets
