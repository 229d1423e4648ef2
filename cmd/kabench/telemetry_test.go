package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results"
)

// scraper scrapes once, when standard error says that the final figures are there.
type scraper struct {
	said bytes.Buffer
	once sync.Once
	done chan struct{}
	body string
	err  error
}

var final = regexp.MustCompile(`metrics: (\S+) has the final figures`)

func (s *scraper) Write(p []byte) (int, error) {
	s.said.Write(p)
	if at := final.FindStringSubmatch(s.said.String()); at != nil {
		s.once.Do(func() {
			go func() {
				defer close(s.done)
				answer, err := http.Get(at[1])
				if err != nil {
					s.err = err
					return
				}
				defer answer.Body.Close()
				text, err := io.ReadAll(answer.Body)
				s.body, s.err = string(text), err
			}()
		})
	}
	return len(p), nil
}

// kabench waits at the end until somebody has the final figures, which are those of every
// run.json. It does not wait any longer then.
func TestMetricsWaitsForTheLastScrape(t *testing.T) {
	t.Parallel()
	server, err := lab.Start(script.Server{Body: 100}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	dir := filepath.Join(t.TempDir(), "out")
	s := &scraper{done: make(chan struct{})}
	args := []string{"compare", "--target", server.URL(), "--rate", "50/s", "--duration", "300ms", "--set", "load.max_lag=0", "--pool", "default", "--pool", "okhttp",
		"--repeats", "1", "--cool-down", "0s", "--out", dir, "--metrics", ":0", "--metrics-wait", "2m"}
	if code := run(args, io.Discard, s); code != exit.Done {
		t.Fatalf("exit code %d: %s", code, s.said.String())
	}
	<-s.done
	if s.err != nil || !strings.Contains(s.said.String(), "metrics: the final figures were scraped") {
		t.Fatalf("%v, %s", s.err, s.said.String())
	}
	files, err := filepath.Glob(filepath.Join(dir, "*", "run.json"))
	if err != nil || len(files) != 2 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var doc results.Run
		if err := json.Unmarshal(text, &doc); err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(fmt.Sprintf(`kabench_exchanges_ok_total\{kabench_run="[12] (default|okhttp)"\} %d\n`, doc.Counts.OK)).MatchString(s.body)
		if !found || doc.Counts.OK == 0 {
			t.Errorf("%s: no run has ok %d in\n%s", file, doc.Counts.OK, s.body)
		}
	}
}
