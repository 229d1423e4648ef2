package sockets

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// process is a process by its number and the time of its start, because numbers are used again.
type process struct {
	pid   int
	start string // in ticks since the boot, as in /proc/N/stat
}

// openProcess finds a process, and checks that its files can be read.
func openProcess(pid int) (process, error) {
	start, err := startOf(pid)
	if err != nil {
		return process{}, &ProcessError{pid, ErrNoProcess}
	}
	p := process{pid, start}
	return p, p.inodes(map[uint32]struct{}{}, true)
}

// startOf returns the start time of a process that has not ended.
func startOf(pid int) (string, error) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", err
	}
	// After the name, which may hold anything, come the state and, 19 fields on, the start.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 || string(fields[0]) == "Z" || string(fields[0]) == "X" {
		return "", os.ErrProcessDone
	}
	return string(fields[19]), nil
}

// alive reports whether the process has not ended.
func (p process) alive() bool {
	start, err := startOf(p.pid)
	return err == nil && start == p.start
}

// inodes adds the inodes of the process's sockets to set. With check, it only looks whether it may.
func (p process) inodes(set map[uint32]struct{}, check bool) error {
	dir, err := os.Open("/proc/" + strconv.Itoa(p.pid) + "/fd")
	if err == nil {
		defer dir.Close()
		batch := 4096
		if check {
			batch = 1
		}
		var names []string
		for err == nil {
			names, err = dir.Readdirnames(batch)
			for _, name := range names {
				if inode, ok := socketAt(int(dir.Fd()), name); ok {
					set[inode] = struct{}{}
				}
			}
			if check {
				break
			}
		}
	}
	switch {
	case err == nil, errors.Is(err, io.EOF):
	case !p.alive():
		return &ProcessError{p.pid, ErrEnded}
	case errors.Is(err, os.ErrPermission):
		return &ProcessError{p.pid, ErrForeign}
	default:
		return err
	}
	return nil
}

// socketAt returns the inode of a file in a directory of descriptors, if it is a socket.
func socketAt(dir int, name string) (uint32, bool) {
	var buf [64]byte
	n, err := unix.Readlinkat(dir, name, buf[:])
	if err != nil {
		return 0, false // closed since
	}
	digits, ok := strings.CutPrefix(string(buf[:n]), "socket:[")
	if !ok {
		return 0, false
	}
	inode, err := strconv.ParseUint(strings.TrimSuffix(digits, "]"), 10, 32)
	return uint32(inode), err == nil
}
