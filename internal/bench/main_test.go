package main

import (
	"os"
	"testing"
)

// TestMain lets the test binary be the recording server that tests start.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == serveCommand {
		os.Exit(serveMain())
	}
	os.Exit(m.Run())
}
