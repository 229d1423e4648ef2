package parcel

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// errChanged says that a file is not as it was when it was scanned.
var errChanged = errors.New("the files change")

// plan is a directory as it was scanned: its manifest, and the hash of each chunk by number.
type plan struct {
	manifest
	dir    string
	hashes [][sha256.Size]byte
}

// scan reads the files of dir once. Files whose names begin with a dot stay behind.
func scan(ctx context.Context, dir string, maxBytes int64) (*plan, error) {
	entries, err := os.ReadDir(dir) // by name
	if err != nil {
		return nil, fmt.Errorf("the results cannot be read: %w", err)
	}
	p := &plan{dir: dir, manifest: manifest{Schema: schema, Chunk: ChunkBytes}}
	for _, e := range entries {
		switch {
		case strings.HasPrefix(e.Name(), "."):
			continue
		case !e.Type().IsRegular():
			return nil, fmt.Errorf("%s is not a file, and only files can be sent: move it elsewhere", filepath.Join(dir, e.Name()))
		}
		f, err := p.scanFile(ctx, e.Name())
		if err != nil {
			return nil, err
		}
		p.Files = append(p.Files, f)
		p.Bytes += f.Bytes
	}
	p.Hash = p.sum()
	if err := p.validate(maxBytes); err != nil {
		return nil, fmt.Errorf("the files of %s cannot be sent: %w", dir, err)
	}
	return p, nil
}

func (p *plan) scanFile(ctx context.Context, name string) (file, error) {
	in, err := os.Open(filepath.Join(p.dir, name))
	if err != nil {
		return file{}, fmt.Errorf("the results cannot be read: %w", err)
	}
	defer in.Close()
	whole, buffer := sha256.New(), make([]byte, ChunkBytes)
	f := file{Name: name}
	for {
		if err := ctx.Err(); err != nil {
			return f, err
		}
		n, err := io.ReadFull(in, buffer)
		if n > 0 {
			whole.Write(buffer[:n])
			p.hashes = append(p.hashes, sha256.Sum256(buffer[:n]))
			f.Bytes += int64(n)
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			f.Hash = hex.EncodeToString(whole.Sum(nil))
			return f, nil
		}
		if err != nil {
			return f, fmt.Errorf("the results cannot be read: %w", err)
		}
	}
}

// read reads a chunk again, and checks that it is as it was.
func (p *plan) read(c chunk, buffer []byte) (data []byte, hash string, err error) {
	path := filepath.Join(p.dir, p.Files[c.file].Name)
	in, err := os.Open(path)
	if err != nil {
		return nil, "", fmt.Errorf("the results cannot be read: %w", err)
	}
	defer in.Close()
	data = buffer[:c.bytes]
	if _, err := in.ReadAt(data, c.offset); err == io.EOF {
		return nil, "", errChanged
	} else if err != nil {
		return nil, "", fmt.Errorf("the results cannot be read: %w", err)
	}
	sum := sha256.Sum256(data)
	if sum != p.hashes[c.number] {
		return nil, "", errChanged
	}
	return data, hex.EncodeToString(sum[:]), nil
}
