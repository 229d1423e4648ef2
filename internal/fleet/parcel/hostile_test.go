package parcel

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
)

// TestHostileManifest: a manifest that wants to write elsewhere, or too much, is refused, and
// nothing is written.
func TestHostileManifest(t *testing.T) {
	f := newFixture(t)
	from := results(t, 100)
	for name, change := range map[string]func(m *manifest){
		"a path":   func(m *manifest) { m.Files[0].Name = "../../escaped" },
		"absolute": func(m *manifest) { m.Files[0].Name = "/tmp/escaped" },
		"windows":  func(m *manifest) { m.Files[0].Name = `C:\escaped` },
		"parent":   func(m *manifest) { m.Files[0].Name = ".." },
		"hidden":   func(m *manifest) { m.Files[0].Name = listName },
		"a device": func(m *manifest) { m.Files[0].Name = "COM1.txt" },
		"a line":   func(m *manifest) { m.Files[0].Name = "a\nb" },
		"the same name": func(m *manifest) {
			m.Files[1].Name = "EXCHANGES.NDJSON.ZST"
			m.Files[0], m.Files[1] = m.Files[1], m.Files[0]
		},
		"negative":    func(m *manifest) { m.Files[0].Bytes = -1 },
		"too large":   func(m *manifest) { m.Files[0].Bytes = 1 << 60; m.Bytes += 1 << 60 },
		"overflow":    func(m *manifest) { m.Files[0].Bytes, m.Files[1].Bytes = 1<<62, 1<<62+1<<61 },
		"no chunks":   func(m *manifest) { m.Chunk = 0 },
		"many chunks": func(m *manifest) { m.Chunk = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			_, p := chunksOf(t, from)
			change(&p.manifest)
			p.Hash = p.sum()
			text, err := json.Marshal(p.manifest)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.nc.RequestWithContext(f.ctx, f.key.manifest(), text); err != nil {
				t.Fatal(err)
			}
			above := t.TempDir()
			to := filepath.Join(above, "3")
			if _, err := Receive(f.ctx, f.nc, f.key, to, Options{}); err == nil || !strings.Contains(err.Error(), "their list is not valid") {
				t.Errorf("%v", err)
			}
			if left, _ := os.ReadDir(above); len(left) != 0 {
				t.Errorf("%v was written", left)
			}
		})
	}
}

func FuzzManifest(f *testing.F) {
	dir := f.TempDir()
	write(f, dir, "a.json", []byte("{}"))
	write(f, dir, "b", nil)
	_, p := chunksOf(f, dir)
	text, err := json.Marshal(p.manifest)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"schema":"kabench.parcel/v1","files":[{"name":"../x"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := parse(text, 1<<30)
		if err != nil {
			return
		}
		bytes, next := int64(0), 0
		for c := range m.chunks() {
			if c.number != next || c.bytes <= 0 || c.bytes > ChunkBytes || c.offset+c.bytes > m.Files[c.file].Bytes {
				t.Fatalf("chunk %+v of %+v", c, m)
			}
			next++
			bytes += c.bytes
			if next > 10_000 {
				return
			}
		}
		if bytes != m.Bytes {
			t.Errorf("the chunks have %d bytes, the parcel %d", bytes, m.Bytes)
		}
		for _, file := range m.Files {
			if filepath.Base(file.Name) != file.Name || file.Name == "." || file.Name == ".." || file.Name == listName {
				t.Errorf("the name %q", file.Name)
			}
		}
		if m.generation() == "" || strings.ContainsAny(m.generation(), ".*> ") {
			t.Errorf("the generation %q", m.generation())
		}
	})
}

func FuzzCheck(f *testing.F) {
	m := &manifest{Files: []file{{Name: "a", Bytes: 3}}}
	data := []byte("abc")
	f.Add("a", "0", hashOf(data), data)
	f.Add("b", "-1", "", []byte{})
	f.Fuzz(func(t *testing.T, name, offset, hash string, got []byte) {
		err := m.check(chunk{0, 0, 0, 3}, nats.Header{fileHeader: {name}, offsetHeader: {offset}, hashHeader: {hash}}, got)
		if err == nil && (name != "a" || len(got) != 3 || hash != hashOf(got)) {
			t.Errorf("%q, %q, %q, %q was accepted", name, offset, hash, got)
		}
	})
}
