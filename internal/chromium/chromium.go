// Package chromium starts a real browser without a window for tests, and compares how pages
// look with pictures of reference.
package chromium

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// Start starts a headless Chromium that ends with the test, and returns the context of
// its first tab. Chromium uses the network only for what the test opens. If there is no
// Chromium, the test is skipped; with CI set in the environment, it fails.
func Start(t testing.TB) context.Context {
	t.Helper()
	path := find()
	if path == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("chromium is not installed, and CI is to test with it")
		}
		t.Skip("chromium is not installed: the page is not tested in a browser")
	}
	home, err := os.MkdirTemp("", "kabench-page")
	if err != nil {
		t.Fatal(err)
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(),
		chromedp.ExecPath(path), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.UserDataDir(home), chromedp.WSURLReadTimeout(time.Minute),
	)
	ctx, quit := chromedp.NewContext(allocator)
	ctx, expire := context.WithTimeout(ctx, 10*time.Minute)
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // asks Chromium to end and waits until it has
		expire()
		quit()
		stop()
		// Its child processes write for a moment after it has ended.
		for range 100 {
			if os.RemoveAll(home) == nil {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
	if err := chromedp.Run(ctx); err != nil {
		t.Fatal(err)
	}
	return ctx
}

// find returns the path of a Chromium; "" if there is none.
func find() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}
