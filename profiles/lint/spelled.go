package lint

import (
	"strings"

	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// inWordsOf returns what a finding sets, in the words of the profile's client; nil if
// the pool is of no client, or if the finding is not about the pool.
func inWordsOf(p *profiles.Profile, set string) []results.ClientSetting {
	path, value := assignment(set)
	if clientFamily(p) == "" || !strings.HasPrefix(path, "pool.") {
		return nil
	}
	return p.Spelled(map[string]string{path: value})
}

// assignment returns the path and the value with which a text begins, as
// `pool.idle_timeout=4s, or less`.
func assignment(text string) (path, value string) {
	path, rest, _ := strings.Cut(text, "=")
	depth := 0
	for i, r := range rest {
		switch {
		case strings.ContainsRune("[{", r):
			depth++
		case strings.ContainsRune("]}", r):
			depth--
		case depth == 0 && strings.ContainsRune(",; ", r):
			return path, rest[:i]
		}
	}
	return path, rest
}
