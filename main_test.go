package kabench

import (
	"flag"
	"os"
	"runtime"
	"strconv"
	"testing"

	"github.com/kabench/kabench/internal/sandbox"
)

// The test binary is the child that runs in a network of its own, too, and a driver.
func TestMain(m *testing.M) {
	ExitIfChild()
	driveIfDriver()
	// Runs wait for timers most of the time: as many at once as there are cores
	// would leave the cores idle.
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		flag.Set("test.parallel", strconv.Itoa(2*max(runtime.GOMAXPROCS(0), 2)))
	}
	os.Exit(m.Run())
}

// needSandbox skips a test where there can be no private network; in CI there
// must be one.
func needSandbox(t *testing.T) {
	t.Helper()
	if err := sandbox.Available(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}
