// Package profiles reads the questions that kabench answers. A [Profile] is a
// question in YAML: the load, the pool or the client under test, the target, and
// what the results must show.
//
// [Load] reads a profile onto [Default], applies changes of the form path=value as
// the flag --set does, and validates the result. Reading is strict, and all
// complaints come at once ([Errors]), each with file, line, field and fix.
// [Marshal] writes a profile with nothing left out, so that it loads back to the
// same one; [Redact] takes the secrets out first.
//
// A library comes with kabench: [Profiles] and [Incidents] are whole profiles,
// [Pools] are the pools of real HTTP clients, and [Servers] are real servers.
// [LoadPool], [ReadServer] and [Find] take their names.
//
// A profile is data: the package starts nothing. kabench.Run runs one, and
// lint.Check checks one without traffic.
package profiles
