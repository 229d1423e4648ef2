package unpack

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// A file reads the same however it is compressed, and Head shows its beginning.
func TestOpen(t *testing.T) {
	text := []byte(strings.Repeat("a line\n", 1000))
	var gz, zs bytes.Buffer
	g := gzip.NewWriter(&gz)
	g.Write(text)
	g.Close()
	z, err := zstd.NewWriter(&zs)
	if err != nil {
		t.Fatal(err)
	}
	z.Write(text)
	z.Close()
	for name, content := range map[string][]byte{"plain": text, "gzip": gz.Bytes(), "zstd": zs.Bytes(), "empty": nil} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		want := text
		if len(content) == 0 {
			want = nil
		}
		head, err := Head(path)
		if err != nil || !bytes.Equal(head, want[:min(len(want), headSize)]) {
			t.Errorf("%s: Head is %.20q, %v", name, head, err)
		}
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		f.Close()
		f.Close() // and nothing happens
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.gz")
	if err := os.WriteFile(broken, []byte("\x1f\x8bnot gzip at all"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{dir: "is a directory: name the files in it", filepath.Join(dir, "none"): "no such file", broken: "cannot be unpacked"} {
		for what, open := range map[string]func(string) error{
			"Open": func(p string) error { _, err := Open(p); return err },
			"Head": func(p string) error { _, err := Head(p); return err },
		} {
			if err := open(path); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s(%s): %v, want %q", what, path, err, want)
			}
		}
	}
	if Label(Stdin) != "the standard input" || Label("x") != "x" {
		t.Error("labels")
	}
}
