package enum

import (
	"encoding/json"
	"testing"
)

type order uint8

var orders = Names[order]{"", "lifo", "fifo"}

func (o order) String() string                   { return orders.Text(o) }
func (o order) MarshalText() ([]byte, error)     { return orders.Marshal(o) }
func (o *order) UnmarshalText(text []byte) error { return orders.Unmarshal(text, o) }

func TestTextsGoRoundTrip(t *testing.T) {
	for v := range orders {
		text, err := json.Marshal(order(v))
		if err != nil {
			t.Fatal(err)
		}
		got := order(99)
		if err := json.Unmarshal(text, &got); err != nil || got != order(v) {
			t.Errorf("%s became %v, %v", text, got, err)
		}
	}
}

func TestUnknown(t *testing.T) {
	if got := order(9).String(); got != "unknown(9)" || orders.Known(9) {
		t.Errorf("a value without a name is %q", got)
	}
	for text, want := range map[string]string{
		"filo":    `"filo" is none of lifo, fifo; did you mean fifo?`,
		"fifO":    `"fifO" is none of lifo, fifo; did you mean fifo?`,
		"another": `"another" is none of lifo, fifo`,
	} {
		v := order(2)
		if err := v.UnmarshalText([]byte(text)); err == nil || err.Error() != want || v != 2 {
			t.Errorf("%s: %v, %v; want %s", text, v, err, want)
		}
	}
}
