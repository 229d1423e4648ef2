// Command gallery reproduces the incidents that come with kabench and writes their
// reports for the documentation, docs/reports. It is a tool of the maintainers:
//
//	go run ./internal/gallery                              all incidents
//	go run ./internal/gallery -only idle-race,truncated    these, the other reports stay
//
// It builds kabench and runs 'kabench reproduce' for each incident, in a process of its
// own. It writes NAME.md for each, NAME.html for those that -html names, reports.json, and
// README.md, which lists all reports with their questions and verdicts. Host names,
// addresses and paths are taken out.
//
// An incident that could not be judged, because the machine was too busy, keeps the report
// that it had, and the exit code is 3. So run it on a machine that does nothing else: it
// takes about ten minutes with -jobs 1.
//
// A page has at least 0.6 MB, and each version of it stays in the repository's history.
// So only three incidents have one, a race, a queue and a port range that fill up.
package main
