//go:build unix

package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/kabench/kabench/internal/chromium"
	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/profiles/script"
	report "github.com/kabench/kabench/results/page"
)

var liveAt = regexp.MustCompile(`(?m)^live: (http://\S+)$`)

// liveURL returns the address of p's page.
func liveURL(t *testing.T, p *process) string {
	t.Helper()
	var found []string
	waitFor(t, "the page's address", func() bool {
		found = liveAt.FindStringSubmatch(p.stderr.String())
		return found != nil
	})
	return found[1]
}

// The page can be fetched during the run, changes, and ends with the run.
func TestLivePage(t *testing.T) {
	p, dir := endless(t, script.Server{}, "--live", ":0")
	url := liveURL(t, p)
	fetch := func() (*report.Data, error) {
		answer, err := http.Get(url + "data.json")
		if err != nil {
			return nil, err
		}
		defer answer.Body.Close()
		d := &report.Data{}
		return d, json.NewDecoder(answer.Body).Decode(d)
	}
	var counts []uint64
	waitFor(t, "three different counts", func() bool {
		d, err := fetch()
		if err != nil {
			t.Fatal(err)
		}
		if len(d.Runs) == 1 && d.Live {
			if n := d.Runs[0].Doc.Counts.OK; len(counts) == 0 || n > counts[len(counts)-1] {
				counts = append(counts, n)
			}
		}
		return len(counts) == 3
	})
	p.Process.Signal(os.Interrupt)
	var last *report.Data
	waitFor(t, "the last state", func() bool {
		d, err := fetch()
		if err != nil {
			t.Fatalf("the server is gone before the last state was fetched: %v", err)
		}
		last = d
		return !d.Live
	})
	if code := p.exitCode(t); code != exit.Interrupted {
		t.Errorf("exit code %d\n%s", code, p.stderr.String())
	}
	if _, err := fetch(); err == nil {
		t.Error("it is served still")
	}
	var printed struct {
		Counts struct{ OK uint64 }
	}
	if err := json.Unmarshal([]byte(p.stdout.String()), &printed); err != nil || printed.Counts.OK != last.Runs[0].Doc.Counts.OK {
		t.Errorf("the page ends with %d ok, the run with %d in %s (%v)", last.Runs[0].Doc.Counts.OK, printed.Counts.OK, dir, err)
	}
}

// After the run, the final page is served for --live-stay. An interrupt ends that, and the exit
// code is the run's.
func TestLiveStay(t *testing.T) {
	server, err := lab.Start(script.Server{}, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	p := start(t, "run", "--target", server.URL(), "--rate", "50/s", "--duration", "1s", "--out", "none", "--set", "load.max_lag=0", "--live", "127.0.0.1:0", "--live-stay", "1h")
	waitFor(t, "the end of the run", func() bool { return strings.Contains(p.stderr.String(), "for another 1h0m0s") })
	answer, err := http.Get(liveURL(t, p))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	html, err := io.ReadAll(answer.Body)
	if err != nil || !strings.Contains(string(html), `"started":50`) || strings.Contains(string(html), `"live":true`) {
		t.Errorf("%v, %d bytes", err, len(html))
	}
	p.Process.Signal(os.Interrupt)
	if code := p.exitCode(t); code != exit.Done {
		t.Errorf("exit code %d\n%s", code, p.stderr.String())
	}
	if !strings.Contains(p.stdout.String(), "50 due = 50 started") {
		t.Errorf("the report was not printed:\n%s", p.stdout.String())
	}
}

// In a browser, numbers and charts follow the run, and the console has no complaints.
func TestLivePageInABrowser(t *testing.T) {
	ctx := chromium.Start(t)
	// Every tenth request fails, so that failures are drawn as well.
	cfg := script.Server{Fault: script.CloseBeforeResponse}
	if err := cfg.FaultOn.UnmarshalText([]byte("every 10")); err != nil {
		t.Fatal(err)
	}
	p, _ := endless(t, cfg, "--live", ":0")
	url := liveURL(t, p)
	var mu sync.Mutex
	var complaints []string
	chromedp.ListenTarget(ctx, func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			complaints = append(complaints, e.ExceptionDetails.Error())
		case *runtime.EventConsoleAPICalled:
			if e.Type == runtime.APITypeError || e.Type == runtime.APITypeWarning {
				complaints = append(complaints, string(e.Args[0].Value))
			}
		case *cdplog.EventEntryAdded:
			complaints = append(complaints, e.Entry.Text+" "+e.Entry.URL)
		}
	})
	if err := chromedp.Run(ctx, cdplog.Enable(), runtime.Enable(), chromedp.Navigate(url), chromedp.WaitVisible("#figures", chromedp.ByQuery)); err != nil {
		t.Fatal(err)
	}
	text := func(script string) string {
		t.Helper()
		var s string
		if err := chromedp.Run(ctx, chromedp.Evaluate(script, &s)); err != nil {
			t.Fatal(err)
		}
		return s
	}
	var answers []string
	waitFor(t, "four different answers on the page", func() bool {
		s := text(`document.getElementById('answer').innerText`)
		if len(answers) == 0 || s != answers[len(answers)-1] {
			answers = append(answers, s)
		}
		return len(answers) >= 4
	})
	waitFor(t, "a chart", func() bool {
		n, err := strconv.Atoi(text(`String(document.querySelectorAll('#pictures canvas, #pictures svg').length)`))
		return err == nil && n > 0
	})
	if text(`String(document.getElementById('live').hidden)`) != "false" {
		t.Error("the page does not say that it is live")
	}
	p.Process.Signal(os.Interrupt)
	waitFor(t, "the end on the page", func() bool { return text(`String(document.getElementById('live').hidden)`) == "true" })
	if code := p.exitCode(t); code != exit.Interrupted {
		t.Errorf("exit code %d\n%s", code, p.stderr.String())
	}
	mu.Lock()
	defer mu.Unlock()
	if len(complaints) > 0 {
		t.Errorf("the browser complains:\n%s", strings.Join(complaints, "\n"))
	}
}
