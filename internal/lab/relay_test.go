package lab

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// Everything comes out exactly when due and in order.
func TestFlowOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const delay = 5 * time.Second
		f, begin := newFlow(), time.Now()
		go func() {
			for i := range 3 {
				f.put(t.Context(), item{at: time.Now().Add(delay), data: make([]byte, i+1)})
				time.Sleep(2 * time.Second)
			}
			f.fin(time.Now().Add(delay))
		}()
		for i := range 3 {
			it, ok := f.take(t.Context())
			if want := delay + time.Duration(i)*2*time.Second; !ok || len(it.data) != i+1 || time.Since(begin) != want {
				t.Errorf("item %d: %d bytes after %v, want after %v", i, len(it.data), time.Since(begin), want)
			}
		}
		if it, ok := f.take(t.Context()); !ok || it.end != fin || time.Since(begin) != 11*time.Second {
			t.Errorf("%v after %v", it.end, time.Since(begin))
		}
	})
}

// A FIN that was really a RST is replaced while it is under way, even when
// somebody waits for it already; data before it is not.
func TestFlowResetInsteadOfFIN(t *testing.T) {
	for _, instead := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			f, begin := newFlow(), time.Now()
			f.put(t.Context(), item{at: begin.Add(time.Second), data: []byte("x")})
			f.fin(begin.Add(2 * time.Second))
			go func() {
				time.Sleep(1500 * time.Millisecond)
				f.reset(begin.Add(3*time.Second), instead)
				f.reset(begin.Add(4*time.Second), true) // known already
			}()
			want := []end{more, fin, rst}
			if instead {
				want = []end{more, rst}
			}
			for _, want := range want {
				if it, ok := f.take(t.Context()); !ok || it.end != want {
					t.Errorf("instead %v: %v, want %v", instead, it.end, want)
				}
			}
			if d := time.Since(begin); d != 3*time.Second {
				t.Errorf("instead %v: the RST came after %v", instead, d)
			}
			if _, _, ok := f.poll(time.Now()); ok || f.size != 0 {
				t.Errorf("something is left: %d bytes", f.size)
			}
		})
	}
}

// The memory of the data in flight is bounded, by waiting.
func TestFlowIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		f, puts, ended := newFlow(), 0, make(chan bool)
		fill := func() {
			for f.put(ctx, item{data: make([]byte, 1<<10)}) {
				puts++
			}
			ended <- true
		}
		go fill()
		synctest.Wait()
		full := puts
		if f.size < flowLimit || f.size > flowLimit+1<<10+itemCost {
			t.Errorf("%d bytes are under way", f.size)
		}
		f.take(ctx)
		f.take(ctx)
		synctest.Wait()
		if puts < full+1 || puts > full+2 {
			t.Errorf("%d were put after two were taken", puts-full)
		}
		cancel()
		<-ended

		// Nobody takes any more: what is put is dropped, at once.
		f.abandon()
		if !f.put(t.Context(), item{data: []byte("x")}) || f.size != 0 {
			t.Errorf("%d bytes are under way", f.size)
		}
	})
}
