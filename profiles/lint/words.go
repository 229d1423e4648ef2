package lint

import (
	"slices"
	"strings"

	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// Words are what the log of a client would have said of an outcome; a remark in
// parentheses where it says nothing, and none where nothing is known.
type Words func(client string, phase results.Phase, cause results.Cause, reused bool) []string

// mostWords bounds how many texts of a client a finding shows: so many for one
// cause, and one for each of several.
const mostWords = 2

// clientFamily is the family of the client whose pool it is; "" if the pool is
// nobody's.
func clientFamily(p *profiles.Profile) string {
	name := p.Preset
	if p.Client == profiles.ClientStock {
		name = stockPool
	}
	preset, _ := profiles.FindPool(name)
	return preset.Client
}

// logged is how the log of the profile's client tells of outcomes of one phase;
// without a client, or without words, it is the words of several.
func (s *subject) logged(phase results.Phase, reused bool, ofSeveral string, causes ...results.Cause) string {
	client := clientFamily(s.profile)
	if client == "" || s.words == nil {
		return ofSeveral
	}
	var texts []string
	remark := ""
	for i, cause := range causes {
		room := mostWords
		if len(causes) > 1 {
			room = i + 1
		}
		for _, text := range s.words(client, phase, cause, reused) {
			switch {
			case strings.HasPrefix(text, "("):
				remark = strings.Trim(text, "()")
			case len(texts) < room && !slices.Contains(texts, quote(text)):
				texts = append(texts, quote(text))
			}
		}
	}
	switch {
	case len(texts) > 0:
		return "in the log of " + client + " " + listOf(texts)
	case remark != "":
		return "in the log of " + client + " " + remark
	}
	return "in no words that are known of " + client
}

func quote(text string) string { return "`" + strings.TrimSpace(text) + "`" }

// Of a pool that is nobody's, the words of some clients.
const (
	severalStale     = "in the words of Reactor Netty `Connection prematurely closed BEFORE response`, of HttpClient `failed to respond`, of Node `socket hang up`, of Python `RemoteDisconnected`"
	severalQueueFull = "in the words of Reactor Netty `Pending acquire queue has reached its maximum size`, of fasthttp `no free connections available to host`, of Envoy `reset reason: overflow`"
	severalPending   = "in the words of Reactor Netty `Pool#acquire(Duration) has been pending for more than the configured timeout`, of HttpClient `ConnectionRequestTimeoutException`, of httpx `PoolTimeout`"
)
