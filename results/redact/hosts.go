package redact

import (
	"slices"
	"strings"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/expect"
)

// ownEnds are the last labels of names that are not hosts but files or settings.
var ownEnds = []string{"json", "ndjson", "zst", "hlog", "yaml", "pcapng", "go", "reserved"}

// hostForm reports whether w has the form of a host's name with a domain. Paths in a
// profile or in results have the same form; hostForm recognizes them and reports
// false.
func hostForm(w string) bool {
	labels := strings.Split(w, ".")
	last := labels[len(labels)-1]
	if len(labels) < 2 || len(last) < 2 || strings.ContainsRune(w, '_') || slices.Contains(ownEnds, last) {
		return false
	}
	for _, c := range last {
		if c >= '0' && c <= '9' && !strings.HasPrefix(last, "xn--") {
			return false
		}
	}
	for _, label := range labels {
		if label == "" {
			return false
		}
	}
	return !ownPath(w, labels)
}

// ownPath reports whether w is a path in a profile or in results, or the name of a
// kernel setting. labels are the parts of w between its dots.
func ownPath(w string, labels []string) bool {
	switch labels[0] {
	case "pool", "load", "network":
		return len(labels) == 2
	case "target":
		return len(labels) == 2 || slices.Contains([]string{"lab", "link", "tls", "tcp", "proxies"}, labels[1])
	case "net":
		return slices.Contains([]string{"core", "ipv4", "ipv6"}, labels[1])
	}
	_, err := expect.Lookup(&results.Run{}, w)
	return err == nil
}
