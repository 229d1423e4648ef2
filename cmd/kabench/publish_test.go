package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// plantedRun writes a run whose record, document and evidence have host names, addresses and
// secrets in every text.
func plantedRun(t *testing.T, dir string) {
	t.Helper()
	const text = `Get "https://u:planted@db01.acme.example:8443/orders?token=planted": read tcp 192.0.2.7:40211->203.0.113.9:443: lookup db02 on 203.0.113.53:53: Cookie: planted`
	w, err := record.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	run := &results.Run{
		Version: "v1.2.3", Name: "db01.acme.example", Start: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Complete: true, Valid: true,
		Profile: []byte(`{"name":"db01.acme.example","pool":{"max_conns":10},"target":{"url":"https://db01.acme.example:8443/orders","headers":{"X-A":"planted"}}}`),
		Counts:  results.Counts{Due: 40, Started: 40, OK: 20, Failed: 20},
		Outcomes: []results.Outcome{
			{Phase: results.PhaseBeforeResponse, Cause: results.CauseFIN, Reused: true, Count: 20, Example: text},
			{Phase: results.PhaseDone, Count: 20},
		},
		Warnings: []string{"db01.acme.example is slow at 203.0.113.9"},
		Packets: &results.Packets{Failures: []results.Evidence{{
			Seq: 1, Conn: 1, Use: 2, Phase: results.PhaseBeforeResponse, Cause: results.CauseFIN, Client: "10.1.0.1:40000", Server: "203.0.113.9:443",
			Rows: []results.EvidenceRow{{At: 0.1, Note: text}, {At: 0.2, From: "client", To: "server", Flags: "P.", Len: 10, Who: "db01.acme.example"}},
		}}},
	}
	run.End = run.Start.Add(time.Second)
	err = errors.Join(w.WriteProfile([]byte("name: db01.acme.example\n")), w.Begin(run), w.WriteEvidence(run.Packets.Failures))
	for seq := range uint64(40) {
		var e results.Exchange
		e.Reset(seq, time.Duration(seq)*20*time.Millisecond)
		e.Start, e.Leased, e.WroteHeaders, e.Wrote = e.Due, e.Due, e.Due, e.Due
		e.Done, e.Conn, e.Use, e.Attempts, e.Idle = e.Due+time.Millisecond, seq%4+1, int(seq/4)+1, 1, time.Millisecond
		if e.Phase = results.PhaseDone; seq%2 == 1 {
			e.Phase, e.Cause, e.Err = results.PhaseBeforeResponse, results.CauseFIN, errors.New(text)
		} else {
			e.FirstByte, e.GotHeaders, e.Status = e.Done, e.Done, 200
		}
		w.Observe(&e)
	}
	if err := errors.Join(err, w.Sample(results.Sample{T: 0.1, Leased: 1}), w.Close(run)); err != nil {
		t.Fatal(err)
	}
}

// TestNothingPublishedLeaks searches every byte of a site for host names, addresses and secrets.
func TestNothingPublishedLeaks(t *testing.T) {
	dir, out := filepath.Join(t.TempDir(), "20260301-db01-acme-example"), filepath.Join(t.TempDir(), "site")
	plantedRun(t, dir)
	var stdout, stderr strings.Builder
	if code := run([]string{"publish", dir, "--site", out}, &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	pages := 0
	err := filepath.WalkDir(out, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(out, path)
		if strings.HasSuffix(name, ".html") {
			pages++
		}
		lower := strings.ToLower(name + "\n" + string(text))
		for _, secret := range []string{"acme", "db01", "db02", "planted", "203.0.113", "192.0.2.7", "orders", filepath.ToSlash(filepath.Dir(dir))} {
			if i := strings.Index(lower, secret); i >= 0 {
				t.Errorf("%q is in %s: ...%s...", secret, name, lower[max(i-100, 0):min(i+60, len(lower))])
			}
		}
		return err
	})
	if err != nil || pages != 2 {
		t.Errorf("%v, %d pages, want the index and the report", err, pages)
	}
	for _, format := range []string{"markdown", "json", "bench", "junit"} {
		var exported, stderr strings.Builder
		if code := run([]string{"export", dir, "--hide-hosts", "--format", format}, &exported, &stderr); code != 0 {
			t.Fatalf("%s: exit code %d: %s", format, code, stderr.String())
		}
		for _, secret := range []string{"acme", "db01", "db02", "planted", "203.0.113", "192.0.2.7", "orders"} {
			if strings.Contains(strings.ToLower(exported.String()), secret) {
				t.Errorf("%q is in the %s export", secret, format)
			}
		}
	}
}
