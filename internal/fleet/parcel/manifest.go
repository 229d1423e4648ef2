package parcel

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"regexp"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
)

const (
	schema      = "kabench.parcel/v1"
	maxFiles    = 256
	maxManifest = 128 << 10 // bytes
	hashLength  = 2 * sha256.Size
)

// Headers of a chunk.
const (
	fileHeader   = "Kabench-File"
	offsetHeader = "Kabench-Offset"
	hashHeader   = "Kabench-Sha256"
)

// manifest says what a parcel holds.
type manifest struct {
	Schema string `json:"schema"` // kabench.parcel/v1
	Hash   string `json:"hash"`   // of names, sizes and contents of all files: see sum
	Bytes  int64  `json:"bytes"`  // of all files
	Chunk  int64  `json:"chunk"`  // bytes of each chunk, except the last one of a file
	Files  []file `json:"files"`  // by name
}

type file struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
	Hash  string `json:"sha256"`
}

// names are the file names that travel: no path, nothing hidden, nothing that a system treats
// in its own way.
var (
	names   = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$`)
	devices = regexp.MustCompile(`(?i)^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)`) // Windows
	hashes  = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

func nameAllowed(name string) bool {
	return names.MatchString(name) && !strings.HasSuffix(name, ".") && !devices.MatchString(name)
}

// sum is the hash of a parcel: SHA-256 over a line for each file, with its SHA-256, its size
// and its name.
func (m *manifest) sum() string {
	h := sha256.New()
	fmt.Fprintln(h, schema)
	for _, f := range m.Files {
		fmt.Fprintln(h, f.Hash, f.Bytes, f.Name)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// generation is the part of the hash that stands in subjects.
func (m *manifest) generation() string { return m.Hash[:hashLength/2] }

// parse reads a manifest that came from the network, and believes nothing in it.
func parse(text []byte, maxBytes int64) (*manifest, error) {
	if len(text) > maxManifest {
		return nil, fmt.Errorf("it has %d bytes, and %d are allowed", len(text), maxManifest)
	}
	m := &manifest{}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(m); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows it")
	}
	return m, m.validate(maxBytes)
}

// validate finds the first thing that is wrong.
func (m *manifest) validate(maxBytes int64) error {
	switch {
	case m.Schema != schema:
		return fmt.Errorf("its schema is %q, and this version knows %q", m.Schema, schema)
	case m.Chunk < 1024 || m.Chunk > ChunkBytes:
		return fmt.Errorf("its chunks have %d bytes, and 1024 to %d are allowed", m.Chunk, ChunkBytes)
	case len(m.Files) == 0:
		return errors.New("it has no files")
	case len(m.Files) > maxFiles:
		return fmt.Errorf("it has %d files, and %d are allowed", len(m.Files), maxFiles)
	}
	var bytes int64
	folded := map[string]bool{}
	for i, f := range m.Files {
		lower := strings.ToLower(f.Name)
		switch {
		case !nameAllowed(f.Name):
			return fmt.Errorf("%q is no name that a file of results may have", f.Name)
		case i > 0 && m.Files[i-1].Name >= f.Name:
			return fmt.Errorf("its files are not in order at %q", f.Name)
		case folded[lower]:
			return fmt.Errorf("two of its files are called %q, with other capitals", f.Name)
		case f.Bytes < 0 || f.Bytes > maxBytes-bytes:
			return fmt.Errorf("it has more than %d bytes, the most that is allowed", maxBytes)
		case !hashes.MatchString(f.Hash):
			return fmt.Errorf("the hash of %q is damaged", f.Name)
		}
		folded[lower] = true
		bytes += f.Bytes
	}
	switch {
	case bytes != m.Bytes:
		return fmt.Errorf("its files have %d bytes, and it says %d", bytes, m.Bytes)
	case m.Hash != m.sum():
		return errors.New("its hash does not match its files")
	}
	return nil
}

// chunk is a part of one file. Chunks are numbered over all files.
type chunk struct {
	number int
	file   int // index in Files
	offset int64
	bytes  int64
}

// chunks yields the parts of the files, in order.
func (m *manifest) chunks() iter.Seq[chunk] {
	return func(yield func(chunk) bool) {
		number := 0
		for i, f := range m.Files {
			for at := int64(0); at < f.Bytes; at += m.Chunk {
				if !yield(chunk{number, i, at, min(m.Chunk, f.Bytes-at)}) {
					return
				}
				number++
			}
		}
	}
}

// headers describes a chunk whose contents are data.
func (m *manifest) headers(c chunk, hash string) nats.Header {
	return nats.Header{
		fileHeader:   {m.Files[c.file].Name},
		offsetHeader: {strconv.FormatInt(c.offset, 10)},
		hashHeader:   {hash},
	}
}

// check compares a message with the chunk that it must be.
func (m *manifest) check(c chunk, h nats.Header, data []byte) error {
	offset, err := strconv.ParseInt(h.Get(offsetHeader), 10, 64)
	switch name := h.Get(fileHeader); {
	case name != m.Files[c.file].Name:
		return fmt.Errorf("it belongs to the file %q and not to %q", name, m.Files[c.file].Name)
	case err != nil || offset != c.offset:
		return fmt.Errorf("it begins at byte %q and not at %d", h.Get(offsetHeader), c.offset)
	case int64(len(data)) != c.bytes:
		return fmt.Errorf("it has %d bytes and not %d", len(data), c.bytes)
	case h.Get(hashHeader) != hashOf(data):
		return errors.New("its hash is wrong")
	}
	return nil
}

func hashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
