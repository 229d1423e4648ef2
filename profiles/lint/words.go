package lint

import (
	"slices"
	"strings"

	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// Words returns the log texts of a client for an outcome: texts, or one remark in
// parentheses if the client logs nothing, or nothing if the texts are not known.
type Words func(client string, phase results.Phase, cause results.Cause, reused bool) []string

// mostWords bounds how many texts of a client a finding shows for one cause. Of
// several causes it shows one text each.
const mostWords = 2

// clientFamily is the family of the client that the pool belongs to; "" if there is
// none.
func clientFamily(p *profiles.Profile) string {
	name := p.Preset
	if p.Client == profiles.ClientStock {
		name = stockPool
	}
	preset, _ := profiles.FindPool(name)
	return preset.Client
}

// logged says what the log of the profile's client shows for outcomes of one phase. If
// the client or its texts are not known, it is ofSeveral.
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
	return "with a log text that kabench does not know, in the log of " + client
}

func quote(text string) string { return "`" + strings.TrimSpace(text) + "`" }

// The log texts of several clients, for a pool that belongs to no client.
const (
	severalStale     = "logged by Reactor Netty as `Connection prematurely closed BEFORE response`, by HttpClient as `failed to respond`, by Node as `socket hang up`, by Python as `RemoteDisconnected`"
	severalQueueFull = "logged by Reactor Netty as `Pending acquire queue has reached its maximum size`, by fasthttp as `no free connections available to host`, by Envoy as `reset reason: overflow`"
	severalPending   = "logged by Reactor Netty as `Pool#acquire(Duration) has been pending for more than the configured timeout`, by HttpClient as `ConnectionRequestTimeoutException`, by httpx as `PoolTimeout`"
)
