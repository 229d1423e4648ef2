package chromium

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Tab is a page in a browser, with what it complained of and asked for.
type Tab struct {
	Context context.Context

	mu         sync.Mutex
	complaints []string // guarded by mu, as requests
	requests   []string
}

// Open opens a page in a tab of its own, which is closed with the test.
func Open(t testing.TB, browser context.Context, url string) *Tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	ctx, giveUp := context.WithTimeout(ctx, 5*time.Minute)
	t.Cleanup(func() { giveUp(); cancel() })
	tab := &Tab{Context: ctx}
	chromedp.ListenTarget(ctx, func(event any) {
		tab.mu.Lock()
		defer tab.mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			tab.complaints = append(tab.complaints, e.ExceptionDetails.Error())
		case *runtime.EventConsoleAPICalled:
			tab.complaints = append(tab.complaints, fmt.Sprintf("console: %v", e.Args))
		case *log.EventEntryAdded:
			tab.complaints = append(tab.complaints, e.Entry.Text+" "+e.Entry.URL)
		case *network.EventRequestWillBeSent:
			tab.requests = append(tab.requests, e.Request.URL)
		case *page.EventJavascriptDialogOpening:
			tab.complaints = append(tab.complaints, "dialog: "+e.Message)
		}
	})
	tab.Run(t, network.Enable(), log.Enable(), chromedp.EmulateViewport(1200, 900), chromedp.Navigate(url))
	return tab
}

// Run does actions in the tab.
func (tab *Tab) Run(t testing.TB, actions ...chromedp.Action) {
	t.Helper()
	if err := chromedp.Run(tab.Context, actions...); err != nil {
		t.Fatal(err)
	}
}

// Eval returns the value of an expression in the page.
func Eval[T any](t testing.TB, tab *Tab, expression string) (v T) {
	t.Helper()
	tab.Run(t, chromedp.Evaluate(expression, &v))
	return v
}

// Quiet checks that the page reported no error and requested only addresses that begin
// with one of allowed.
func (tab *Tab) Quiet(t testing.TB, allowed ...string) {
	t.Helper()
	tab.mu.Lock()
	defer tab.mu.Unlock()
	for _, text := range tab.complaints {
		t.Errorf("the browser says: %s", text)
	}
	for _, url := range tab.requests {
		fine := false
		for _, prefix := range allowed {
			fine = fine || strings.HasPrefix(url, prefix)
		}
		if !fine {
			t.Errorf("the page asked for %s", url)
		}
	}
}

// Ignore forgets the errors that contain text.
func (tab *Tab) Ignore(text string) {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	tab.complaints = slices.DeleteFunc(tab.complaints, func(c string) bool { return strings.Contains(c, text) })
}

// WithoutPrograms turns off the programs of pages.
func WithoutPrograms() chromedp.Action { return emulation.SetScriptExecutionDisabled(true) }
