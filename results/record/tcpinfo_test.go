package record

import (
	"strings"
	"testing"

	"github.com/kabench/kabench/results"
)

func TestBadTCPInfo(t *testing.T) {
	for text, say := range map[string]string{
		`{"lease":{"rtt":1}}`:                                                `tcp: state: "" is none of TCP's`,
		`{"failure":{"state":"established"}}`:                                "is none of TCP's",
		`{"lease":{"state":"CLOSE","rtt":-1}}`:                               "-1 is out of the range of times",
		`{"lease":{"state":"CLOSE","since_sent":9223372036854775807}}`:       "is out of the range of times",
		`{"failure":{"state":"CLOSE","unacked":4294967296}}`:                 "4294967296 is out of the range of segments",
		`{"lease":{"state":"CLOSE"},"failure":{"state":"CLOSE","acked":-2}}`: "a number of bytes is negative",
	} {
		var e results.Exchange
		err := readLine([]byte(`{"phase":"before_response","tcp":`+text+`}`), &e)
		if err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%s: %v, want %q", text, err, say)
		}
	}
}
