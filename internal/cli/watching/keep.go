package watching

import (
	"encoding/csv"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/kabench/kabench/internal/cli"
	"github.com/kabench/kabench/internal/cli/verdict"
	"github.com/kabench/kabench/internal/evidence/segments"
	"github.com/kabench/kabench/internal/resultsdir"
	"github.com/kabench/kabench/internal/serverfile"
	"github.com/kabench/kabench/internal/watch"
	"github.com/kabench/kabench/results/record"
)

// The files in a directory of results.
const (
	fileDocument = "watch.json"
	filePage     = "report.html"
	fileServer   = "server.yaml"
	filePackets  = "packets.pcapng"
	fileSeries   = "series.csv"
)

// claim takes the directory of the results. Until the watch ends, the document there says
// that it was interrupted.
func (d *session) claim() error {
	if d.dir = resultsdir.Out(d.o.out, "watch"); d.dir == "" {
		return nil
	}
	begun := &Document{Schema: Schema, Version: cli.Version(), Begin: d.began.UTC(), Interrupted: true}
	return cli.InOut(d.dir, record.ClaimWith(d.dir, func() error { return cli.WriteFile(filepath.Join(d.dir, fileDocument), begun.encode) }))
}

// write writes the last minutes, because a condition holds, and leaves out the oldest
// results beyond --keep.
func (d *session) write(condition string) {
	doc, err := d.document(condition)
	if err != nil {
		d.miss(err)
		return
	}
	d.progress.End()
	fmt.Fprintf(d.s.Errors, "%s holds, %s: %s\n", condition, time.Now().UTC().Format("2006-01-02 15:04:05 UTC"), doc.Verdict.Headline)
	if d.dir == "" {
		return
	}
	dir := filepath.Join(d.dir, fmt.Sprintf("%04d-%s", d.held, time.Now().UTC().Format("20060102-150405")))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		d.miss(err)
		return
	}
	d.keep(doc, dir)
	d.kept(dir)
	d.old = append(d.old, dir)
	d.rotate()
}

// miss notes that results could not be written. The watch goes on.
func (d *session) miss(err error) {
	fmt.Fprintf(d.s.Errors, "kabench: not written: %v\n", err)
	d.fail(err)
}

// fail keeps the first error, with which the command ends: a disk that is full for weeks
// makes very many.
func (d *session) fail(err error) {
	if d.failed == nil {
		d.failed = err
	}
}

// rotate removes the oldest results of conditions beyond the size that is kept, except the
// newest ones.
func (d *session) rotate() {
	if d.o.limit == 0 {
		return
	}
	sizes, sum := make([]int64, len(d.old)), int64(0)
	for i, dir := range d.old {
		sizes[i] = sizeOf(dir)
		sum += sizes[i]
	}
	for len(d.old) > 1 && sum > d.o.limit {
		if err := os.RemoveAll(d.old[0]); err != nil {
			d.miss(err)
			return
		}
		sum -= sizes[0]
		d.old, sizes = d.old[1:], sizes[1:]
	}
}

func sizeOf(dir string) (sum int64) {
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			sum += info.Size()
		}
		return nil
	})
	return sum
}

// keep writes the files of the results into a directory.
func (d *session) keep(doc *Document, dir string) {
	if dir == "" {
		return
	}
	file := func(name string, write func(io.Writer) error) {
		if err := cli.WriteFile(filepath.Join(dir, name), write); err != nil {
			d.miss(err)
		}
	}
	if d.headers.count() > 0 {
		file(filePackets, func(w io.Writer) error {
			return d.headers.write(w, d.began, func(s *segments.Segment) bool { return d.w.Server(s.Src) || d.w.Server(s.Dst) })
		})
	}
	file(fileSeries, func(w io.Writer) error { return writeSeries(w, d.w.Series()) })
	if len(doc.Verdict.Servers) > 0 {
		if text, err := serverfile.Text(doc.Verdict.Worst(), doc.Verdict.Source()); err != nil {
			d.miss(err)
		} else {
			file(fileServer, verdict.Bytes(text))
		}
	}
	file(fileDocument, doc.encode)
	file(filePage, func(w io.Writer) error { return d.writePage(w, doc) })
}

// kept prints where the results are, unless they could not be written.
func (d *session) kept(dir string) {
	page := filepath.Join(dir, filePage)
	if _, err := os.Stat(page); dir != "" && err == nil {
		fmt.Fprintf(d.s.Err, "results: %s\n", page)
	}
}

// writeSeries writes the state over time as comma-separated values.
func writeSeries(w io.Writer, s *watch.Series) error {
	c := csv.NewWriter(w)
	_ = c.Write([]string{
		"at", "idle", "leased", "stale", "opening", "accepted", "time_wait_opened", "time_wait_accepted", "ports", "ports_there_are",
		"pool_idle", "pool_leased", "pool_pending", "pool_max", "closes", "failures",
	})
	number := strconv.Itoa
	says := func(v float64) string {
		if v < 0 {
			return ""
		}
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	for _, p := range s.Points {
		_ = c.Write([]string{
			strconv.FormatFloat(p.At, 'f', 3, 64), number(p.Idle), number(p.Leased), number(p.Stale), number(p.Opening), number(p.Accepted),
			number(p.TimeWait[0]), number(p.TimeWait[1]), number(p.Ports), number(p.Range),
			says(p.SaysIdle), says(p.SaysLease), says(p.Pending), says(p.Max), number(p.Closes), number(p.Failures),
		})
	}
	c.Flush()
	return c.Error()
}
