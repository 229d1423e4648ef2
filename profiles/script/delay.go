package script

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// maxDelay bounds every delay, so that a wrong unit is an error and not a run that
// never ends.
const maxDelay = time.Hour

// Delay is a constant or random duration. Its text is one of
//
//	20ms              always that long
//	uniform 10ms 30ms anything from 10 to 30 ms
//	exp 20ms          exponential with that mean
//	normal 20ms 5ms   normal with that mean and standard deviation, never below 0
//
// The zero value is no delay.
type Delay struct {
	Form Form
	A    time.Duration // constant: the delay; uniform: the least; exp, normal: the mean
	B    time.Duration // uniform: the most; normal: the standard deviation; else 0
}

// Form is the distribution of a Delay.
type Form uint8

const (
	Constant    Form = iota // A
	Uniform                 // from A to B
	Exponential             // mean A
	Normal                  // mean A, standard deviation B
)

var forms = [...]struct {
	name   string
	params []string
}{
	Constant:    {"", []string{"DURATION"}},
	Uniform:     {"uniform", []string{"LEAST", "MOST"}},
	Exponential: {"exp", []string{"MEAN"}},
	Normal:      {"normal", []string{"MEAN", "DEVIATION"}},
}

// usage returns how to write the form, for error messages.
func (f Form) usage() string {
	words := forms[f].params
	if f != Constant {
		words = append([]string{forms[f].name}, words...)
	}
	return strings.Join(words, " ")
}

// ParseDelay reads the text form of a Delay. If there is no error, the Delay is
// valid.
func ParseDelay(text string) (Delay, error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return Delay{}, errors.New(`empty; write a duration such as "20ms", or "uniform 10ms 30ms", "exp 20ms", "normal 20ms 5ms"`)
	}
	var d Delay
	for i := Uniform; int(i) < len(forms); i++ {
		if words[0] == forms[i].name {
			d.Form, words = i, words[1:]
			break
		}
	}
	if len(words) != len(forms[d.Form].params) {
		return Delay{}, fmt.Errorf("%q: want %q", text, d.Form.usage())
	}
	for i, word := range words {
		v, err := time.ParseDuration(word)
		if err != nil {
			if d.Form == Constant {
				return Delay{}, fmt.Errorf("%q is neither a duration such as 20ms nor uniform, exp or normal", word)
			}
			return Delay{}, fmt.Errorf("%q: %q is not a duration such as 20ms (want %q)", text, word, d.Form.usage())
		}
		if i == 0 {
			d.A = v
		} else {
			d.B = v
		}
	}
	return d, d.Validate()
}

// Validate returns what is wrong with d; nil when nothing is.
func (d Delay) Validate() error {
	if int(d.Form) >= len(forms) {
		return fmt.Errorf("unknown form %d", d.Form)
	}
	if two := len(forms[d.Form].params) == 2; !two && d.B != 0 {
		return fmt.Errorf("%q has one duration, not a second of %v", d.Form.usage(), d.B)
	}
	for _, v := range []time.Duration{d.A, d.B} {
		if v < 0 || v > maxDelay {
			return fmt.Errorf("%q: %v is not between 0 and %v", d.Form.usage(), v, maxDelay)
		}
	}
	if d.Form == Uniform && d.A > d.B {
		return fmt.Errorf("%q: %v is above %v", d.Form.usage(), d.A, d.B)
	}
	return nil
}

// Draw returns a random delay of the distribution d, from 0 to an hour. d must be
// valid.
func (d Delay) Draw(r *rand.Rand) time.Duration {
	v := float64(d.A)
	switch d.Form {
	case Uniform:
		v += r.Float64() * float64(d.B-d.A)
	case Exponential:
		v *= r.ExpFloat64()
	case Normal:
		v += r.NormFloat64() * float64(d.B)
	}
	return time.Duration(min(max(v, 0), float64(maxDelay)))
}

// Stream is what a server draws random times for. Each has random numbers of its own, so that
// the times for one do not depend on when others are drawn.
type Stream uint64

const (
	Delays Stream = 2 + iota
	LateTimers
	Pauses
)

// Random returns the random numbers that the lab's server draws: always the same ones, so
// servers with the same script draw the same times in the order of their requests.
func (s Stream) Random() *rand.Rand { return rand.New(rand.NewPCG(1, uint64(s))) }

func (d Delay) String() string {
	switch d.Form {
	case Constant:
		return d.A.String()
	case Uniform, Normal:
		return fmt.Sprintf("%s %v %v", forms[d.Form].name, d.A, d.B)
	case Exponential:
		return fmt.Sprintf("%s %v", forms[d.Form].name, d.A)
	}
	return fmt.Sprintf("unknown(%d)", d.Form)
}

// MarshalText writes the text form.
func (d Delay) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the text form; see ParseDelay.
func (d *Delay) UnmarshalText(text []byte) error {
	parsed, err := ParseDelay(string(text))
	if err == nil {
		*d = parsed
	}
	return err
}
