package sandbox

import (
	"testing"

	"github.com/kabench/kabench/profiles/network"
	"golang.org/x/sys/unix"
)

// A network that cannot be made, whichever of its descriptors is the one too
// many, leaves none behind and is not there.
func TestStartWithoutFiles(t *testing.T) {
	needSandbox(t)
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &before)
	cfg := network.Config{Hosts: []network.Host{{Name: "server"}}, Record: network.Record{Packets: 64}}
	first, err := Start(cfg) // what the runtime and the libraries open once and for all
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	highest, open := descriptors(t)
	failed := 0
	for limit := 3; ; limit++ {
		if limit > highest+100 {
			t.Fatal("it takes more than a hundred descriptors")
		}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(limit), Max: before.Max}); err != nil {
			t.Fatal(err)
		}
		n, err := Start(cfg)
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
			t.Fatal(err)
		}
		if err == nil {
			if err := n.Close(); err != nil {
				t.Error(err)
			}
			break
		}
		failed++
		if n != nil {
			t.Fatalf("with %d descriptors: a network beside the error %v", limit, err)
		}
		if _, now := descriptors(t); now != open {
			t.Fatalf("with %d descriptors: %v; %d are open, and %d were before", limit, err, now, open)
		}
	}
	if failed < 5 {
		t.Errorf("only %d steps failed", failed)
	}
	if _, now := descriptors(t); now != open {
		t.Errorf("%d are open, and %d were before", now, open)
	}
}

// descriptors is one above the highest that is open, and how many are.
func descriptors(t *testing.T) (highest, open int) {
	t.Helper()
	for fd := range 4096 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			highest, open = fd+1, open+1
		}
	}
	return highest, open
}
