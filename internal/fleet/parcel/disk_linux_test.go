package parcel

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kabench/kabench/internal/fleet/broker"
)

// small makes a disk of a few megabytes, and returns its directory and what makes it larger.
func small(t *testing.T, megabytes int) (dir string, grow func(megabytes int)) {
	t.Helper()
	dir = t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", megabytes)); err != nil {
		t.Skip("a small disk can only be made as root: ", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir, func(megabytes int) {
		if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, fmt.Sprintf("size=%dm", megabytes)); err != nil {
			t.Error(err)
		}
	}
}

// TestFullDiskOfReceiver: one clear error, nothing with the name of a whole parcel, and
// another call continues when there is room.
func TestFullDiskOfReceiver(t *testing.T) {
	f := newFixture(t)
	from := results(t, 6_000_000)
	f.send(from)
	disk, grow := small(t, 3)
	to := filepath.Join(disk, "agents", "3")
	_, err := Receive(f.ctx, f.nc, f.key, to, Options{})
	if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "no space is left for the results in "+filepath.Dir(to)) {
		t.Fatalf("%v", err)
	}
	if _, err := os.Stat(to); err == nil {
		t.Error("half a parcel has the name of a whole one")
	}
	grow(20)
	before := f.nc.Stats().InBytes
	f.receive(to)
	if in := f.nc.Stats().InBytes - before; in > 5_000_000 {
		t.Errorf("%d bytes were fetched again", in)
	}
	equal(t, from, to)
}

// TestFullDiskOfBroker: Send waits, says why, and goes on when the broker was started again
// with room.
func TestFullDiskOfBroker(t *testing.T) {
	ctx := within(t)
	disk, grow := small(t, 4)
	c := broker.Config{Listen: "127.0.0.1:0", Dir: filepath.Join(disk, "broker"), Log: func(line string) { t.Log("broker:", line) }}
	b, err := broker.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	nc := dial(t, b.URL())
	key := Key{Run: "r", Agent: 1}
	if err := Open(ctx, nc, key.Run); err != nil {
		t.Fatal(err)
	}
	from, to := results(t, 8_000_000), filepath.Join(t.TempDir(), "1")
	stuck, first := make(chan error), sync.Once{}
	sent := make(chan error, 1)
	go func() {
		_, err := Send(ctx, nc, key, from, Options{Waiting: func(reason error) { first.Do(func() { stuck <- reason }) }})
		sent <- err
	}()
	if reason := <-stuck; !strings.Contains(reason.Error(), "the broker has no room: free space on its disk and start it again") {
		t.Errorf("Send waits because %v", reason)
	}
	b.Close()
	grow(40)
	c.Listen = strings.TrimPrefix(b.URL(), "nats://")
	if b, err = broker.Start(c); err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if _, err := Receive(ctx, nc, key, to, Options{}); err != nil {
		t.Fatal(err)
	}
	equal(t, from, to)
}
