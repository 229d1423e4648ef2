package script

import (
	"strings"
	"testing"
)

func TestMessagesValidate(t *testing.T) {
	for want, cfg := range map[string]Server{
		"version: unknown(9) is unknown":    {Version: 9},
		"chunked: HTTP/1.0 has no chunks":   {Version: HTTP10, Chunked: true},
		"until_close: is for a body":        {UntilClose: true, Chunked: true},
		"hint: is never sent with until":    {UntilClose: true, Hint: "timeout=5"},
		"split_writes: has no effect":       {SplitWrites: true},
		"upload: unknown(9) is unknown":     {Upload: 9},
		"upload: answer_close never":        {Upload: AnswerClose, Fault: CloseWhileReading},
		"max_connections: -1 is not":        {MaxConnections: -1},
		"backlog: 1048577 is not":           {Backlog: maxPlaces + 1},
		"threads: -1 is not":                {Threads: -1},
		"accept_pause: \"uniform LEAST":     {AcceptPause: Delay{Uniform, 2, 1}},
		"notify_lead: -1ns is not":          {NotifyLead: -1, TLS: true},
		"notify_lead: needs TLS":            {NotifyLead: 1},
		"reload_every: -1ns is negative":    {ReloadEvery: -1},
		"reload: unknown(9) is unknown":     {Reload: 9},
		"unannounced: has no effect withou": {Unannounced: true},
	} {
		if err := cfg.Validate(); err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %v, want %s...", cfg, err, want)
		}
	}
}

// Every name reads back as what it names.
func TestNames(t *testing.T) {
	for _, name := range versionNames {
		reads(t, name, new(Version))
	}
	for _, name := range uploadNames {
		reads(t, name, new(Upload))
	}
	for _, name := range reloadNames {
		reads(t, name, new(Reload))
	}
}

func reads(t *testing.T, name string, v interface {
	String() string
	UnmarshalText([]byte) error
}) {
	t.Helper()
	if err := v.UnmarshalText([]byte(name)); err != nil || v.String() != name {
		t.Errorf("%q is read as %q, %v", name, v, err)
	}
	if err := v.UnmarshalText([]byte("no such")); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("no such name: %v", err)
	}
}
