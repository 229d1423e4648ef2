package chromium

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Look is a way in which a reader sees a page. Sizes are in CSS pixels.
type Look struct {
	Name          string
	Width, Height int64
	Phone         bool // a small screen that is touched
	Dark          bool // the reader prefers dark colours
	Print         bool // as it is laid out for A4 paper, without page breaks
}

// Looks are the looks in which each page has to work.
func Looks() []Look {
	return []Look{
		{Name: "wide", Width: 1400, Height: 900},
		{Name: "tablet", Width: 768, Height: 1024},
		{Name: "phone", Width: 390, Height: 844, Phone: true},
		{Name: "dark", Width: 1400, Height: 900, Dark: true},
		{Name: "print", Width: 700, Height: 990, Print: true},
	}
}

// Apply shows the page of a tab in this look, and waits until the page is laid out.
func (l Look) Apply(t testing.TB, tab context.Context) {
	t.Helper()
	media, scheme := "screen", "light"
	if l.Print {
		media = "print"
	}
	if l.Dark {
		scheme = "dark"
	}
	actions := []chromedp.Action{
		emulation.SetDeviceMetricsOverride(l.Width, l.Height, 1, l.Phone),
		emulation.SetEmulatedMedia().WithMedia(media).WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
		chromedp.Evaluate(`scrollTo(0, 0)`, nil),
	}
	if l.Print {
		actions = append(actions, chromedp.Evaluate(`window.dispatchEvent(new Event('beforeprint'))`, nil))
	}
	// After the second frame, observers of sizes have run and what they drew is shown.
	const frames = `new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => done(true)))))`
	var done bool
	actions = append(actions, chromedp.Evaluate(frames, &done, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
	if err := chromedp.Run(tab, actions...); err != nil {
		t.Fatalf("%s: %v", l.Name, err)
	}
}

// tooWide lists elements that reach beyond the sides of the screen. What is in a box
// that scrolls or clips by itself may; the box may not. A link for the keyboard only waits
// beyond the left side.
const tooWide = `(() => {
	const width = document.documentElement.clientWidth, found = [];
	const inBox = (e) => {
		for (let p = e.parentElement; p && p !== document.body; p = p.parentElement) {
			if (getComputedStyle(p).overflowX !== 'visible') return true;
		}
		return false;
	};
	for (const e of document.body.querySelectorAll('*')) {
		const r = e.getBoundingClientRect();
		if (!r.width || !r.height || !e.checkVisibility() || r.right <= width + 1 && (r.left >= -1 || e.closest('.skip')) || inBox(e)) continue;
		found.push(e.tagName.toLowerCase() + (e.id && '#' + e.id) + [...e.classList].map((c) => '.' + c).join('') + ' from ' + Math.round(r.left) + ' to ' + Math.round(r.right));
	}
	const over = document.documentElement.scrollWidth - width;
	if (over > 0) found.push('the page scrolls sideways by ' + over);
	return found;
})()`

// Fits checks that nothing of the page reaches beyond the sides of the screen.
func (l Look) Fits(t testing.TB, tab context.Context) {
	t.Helper()
	var found []string
	if err := chromedp.Run(tab, chromedp.Evaluate(tooWide, &found)); err != nil {
		t.Fatal(err)
	}
	if len(found) > 0 {
		t.Errorf("%s: on a screen %d wide, these are too wide: %s", l.Name, l.Width, strings.Join(found[:min(len(found), 5)], "; "))
	}
}

// Shoot returns a screenshot of the whole page, and writes it and the first screen to
// the test's artifacts.
func (l Look) Shoot(t testing.TB, tab context.Context, name string) image.Image {
	t.Helper()
	var height int64
	var shot []byte
	if err := chromedp.Run(tab,
		chromedp.Evaluate(`Math.ceil(Math.max(document.documentElement.scrollHeight, document.body.scrollHeight))`, &height),
		chromedp.ActionFunc(func(ctx context.Context) (err error) {
			clip := &page.Viewport{Width: float64(l.Width), Height: float64(height), Scale: 1}
			shot, err = page.CaptureScreenshot().WithCaptureBeyondViewport(true).WithFromSurface(true).WithClip(clip).Do(ctx)
			return err
		})); err != nil {
		t.Fatalf("%s: %v", l.Name, err)
	}
	picture, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		t.Fatal(err)
	}
	keep(t, fmt.Sprintf("%s-%s.png", name, l.Name), shot)
	return picture
}

// keep writes a file to the test's artifacts: 'go test -artifacts' keeps them.
func keep(t testing.TB, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(t.ArtifactDir(), name), content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// Pictures shows the page of a tab in every look. It checks that the page fits, and that
// it looks as in the pictures of reference in dir, which are named after the page and the
// look. ready waits until the page has drawn itself again; nil: it has no program that
// draws.
//
// With KABENCH_PICTURES=write in the environment, it writes the pictures.
func Pictures(t *testing.T, tab context.Context, dir, name string, ready func()) {
	t.Helper()
	for _, look := range Looks() {
		look.Apply(t, tab)
		if ready != nil {
			ready()
		}
		look.Fits(t, tab)
		reference(t, filepath.Join(dir, name+"-"+look.Name+".png"), Small(look.Shoot(t, tab, name)))
	}
}

// reference compares a small picture with the file path, or writes it there.
func reference(t testing.TB, path string, now *image.Gray) {
	t.Helper()
	if os.Getenv("KABENCH_PICTURES") == "write" {
		if err := write(path, now); err != nil {
			t.Fatal(err)
		}
		return
	}
	f, err := os.Open(path)
	if err != nil {
		t.Errorf("%v; make it with KABENCH_PICTURES=write in the environment", err)
		return
	}
	defer f.Close()
	kept, err := png.Decode(f)
	if err != nil {
		t.Errorf("%s: %v", path, err)
		return
	}
	if differences := Compare(gray(kept), now); len(differences) > 0 {
		t.Errorf("%s: %s. Look at the page ('go test -artifacts' keeps pictures of it); if it is as it should be, write the picture with KABENCH_PICTURES=write", path, strings.Join(differences, "; "))
	}
}

// write writes a small picture. It may take 10 kB, because each version of it stays in
// the repository's history.
func write(path string, p *image.Gray) error {
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, fewShades(p)); err != nil {
		return err
	}
	const most = 10_000
	if b.Len() > most {
		return fmt.Errorf("%s would have %d bytes, and a picture may have %d: show less on this page", path, b.Len(), most)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}
