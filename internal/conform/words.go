package conform

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// statusText is a status line's code and reason; 200 for 0.
func statusText(code int) string {
	if code == 0 {
		code = http.StatusOK
	}
	return strconv.Itoa(code) + " " + http.StatusText(code)
}

func itoa(n int) string { return strconv.Itoa(n) }

func hex(n int) string { return strconv.FormatInt(int64(n), 16) }

func fill(c byte, n int) string { return strings.Repeat(string(c), n) }

// seconds writes a time for a reader: 3.02s.
func seconds(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', 2, 64) + "s"
}
