package page

import (
	"testing"

	"github.com/kabench/kabench/results"
)

// The page has a real client's line, figures and errors.
func TestDriverOf(t *testing.T) {
	if driverOf(nil) != nil {
		t.Error("a client where there is none")
	}
	d := driverOf(&results.DriverSeen{Name: "okhttp", Client: "OkHttp", Version: "5", Dispatched: 3, Errors: []results.DriverError{{Text: "boom", Count: 2, Agree: true}}})
	if d.Client != "OkHttp" || d.Line != "OkHttp 5 (driver okhttp), with its own defaults" || len(d.Rows) == 0 || len(d.Errors) != 1 || d.Errors[0].Count != 2 {
		t.Errorf("%+v", d)
	}
}
