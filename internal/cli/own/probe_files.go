package own

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/probe"
	"github.com/kabench/kabench/internal/probepage"
	"github.com/kabench/kabench/internal/serverfile"
	"github.com/kabench/kabench/results/record"
)

// keep writes the files that the command line names, and the directory of results.
func (o *probeOptions) keep(s *cli.Streams, found *probeFound) error {
	if o.facts != "" {
		if err := found.writeFile(s, o.facts, found.writeServer); err != nil {
			return err
		}
	}
	for _, file := range o.output {
		if err := found.writeFile(s, file, found.writerFor(file)); err != nil {
			return err
		}
	}
	if o.dir == "" {
		return nil
	}
	if err := found.keep(o.dir); err != nil {
		return err
	}
	fmt.Fprintf(s.Err, "results: %s\n", filepath.Join(o.dir, cli.ProbePage))
	return nil
}

// claim takes the directory of the results before anything is sent. Until the probe ends, the
// document there says that it was interrupted.
func (o *probeOptions) claim(url string) error {
	begun := &probeFound{Document: probe.Document{
		Schema: probe.Schema, Version: cli.Version(), URL: url, Start: time.Now().UTC(), Interrupted: true,
		MaxRequests: o.Requests, Limit: o.Limit.Seconds(), Servers: []probe.Found{},
	}}
	return record.ClaimWith(o.dir, func() error { return cli.WriteFile(filepath.Join(o.dir, cli.ProbeFile), begun.writeJSON) })
}

// unclaim removes the directory of a probe that has no result.
func (o *probeOptions) unclaim() {
	if o.dir != "" {
		_ = os.Remove(filepath.Join(o.dir, cli.ProbeFile)) // the next probe there names what stays
		_ = os.Remove(o.dir)
	}
}

// errNothing says that there is no server to write down.
var errNothing = errors.New("nothing is known about the server")

// writeFile writes a file and says so.
func (f *probeFound) writeFile(s *cli.Streams, file string, write func(io.Writer) error) error {
	err := cli.WriteFile(file, write)
	if errors.Is(err, errNothing) {
		fmt.Fprintf(s.Errors, "not written: %s, because %v\n", file, err)
		return nil
	}
	if err == nil {
		fmt.Fprintf(s.Err, "written: %s\n", file)
	}
	return err
}

// writerFor returns what writes a file of that name; nil: its ending is not known.
func (f *probeFound) writerFor(file string) func(io.Writer) error {
	switch strings.ToLower(filepath.Ext(file)) {
	case ".html", ".htm":
		return f.writePage
	case ".yaml", ".yml":
		return f.writeServer
	case ".json":
		return f.writeJSON
	}
	return nil
}

func (f *probeFound) writePage(w io.Writer) error { return probepage.Write(w, f.Document) }

func (f *probeFound) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(f)
}

// writeServer writes the server that closes idle connections the soonest.
func (f *probeFound) writeServer(w io.Writer) error {
	server, known := f.result.Safest()
	if !known {
		return errNothing
	}
	return f.writeOne(w, server)
}

func (f *probeFound) writeOne(w io.Writer, server evidence.Server) error {
	text, err := serverfile.Text(server, sourceOf(f.result))
	if err == nil {
		_, err = w.Write(text)
	}
	return err
}

// keep writes the files of a directory of results.
func (f *probeFound) keep(dir string) error {
	writers := map[string]func(io.Writer) error{cli.ProbeFile: f.writeJSON, cli.ProbePage: f.writePage}
	if _, known := f.result.Safest(); known {
		writers["server.yaml"] = f.writeServer
	}
	for _, site := range f.result.Sites {
		if site.Err == nil && len(f.result.Sites) > 1 {
			name := "server-" + strings.NewReplacer(":", "-", "[", "", "]", "", "%", "-").Replace(site.Address.String()) + ".yaml"
			writers[name] = func(w io.Writer) error { return f.writeOne(w, site.Server()) }
		}
	}
	for name, write := range writers {
		if err := cli.WriteFile(filepath.Join(dir, name), write); err != nil {
			return err
		}
	}
	return nil
}
