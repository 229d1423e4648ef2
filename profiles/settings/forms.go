package settings

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"time"
)

// Form is how a value is written where the placeholder stands.
type Form struct {
	// What says it for people, with an example.
	What string
	// Unit is the smallest step of a duration in this form; 0 if the form is not one of a
	// duration.
	Unit time.Duration
	text func(d time.Duration) string
}

// Forms are the forms of values by the name that stands in braces.
var Forms = map[string]Form{
	"n":        {What: "a whole number: 16"},
	"value":    {What: "the client's word, from values"},
	"s":        duration("whole seconds: 4", time.Second, func(d time.Duration) string { return count(d, time.Second) }),
	"ms":       duration("whole milliseconds: 4500", time.Millisecond, func(d time.Duration) string { return count(d, time.Millisecond) }),
	"minutes":  duration("whole minutes: 2", time.Minute, func(d time.Duration) string { return count(d, time.Minute) }),
	"decimal":  duration("seconds: 4.5", time.Millisecond, decimal),
	"unit":     duration("a number with its unit: 4s, 4500ms", time.Millisecond, twoUnits("%ds", "%dms")),
	"proto":    duration("seconds with s: 4.5s", time.Millisecond, func(d time.Duration) string { return decimal(d) + "s" }),
	"java":     duration("a java.time.Duration: Duration.ofSeconds(4)", time.Millisecond, twoUnits("Duration.ofSeconds(%d)", "Duration.ofMillis(%d)")),
	"apache":   duration("a method of Apache's TimeValue and Timeout: ofSeconds(4)", time.Millisecond, twoUnits("ofSeconds(%d)", "ofMilliseconds(%d)")),
	"timeunit": duration("a number and a java.util.concurrent.TimeUnit: 4, TimeUnit.SECONDS", time.Millisecond, twoUnits("%d, TimeUnit.SECONDS", "%d, TimeUnit.MILLISECONDS")),
	"go":       duration("a time.Duration of Go: 4 * time.Second", time.Millisecond, twoUnits("%d * time.Second", "%d * time.Millisecond")),
	"rust":     duration("a Duration of Rust: Duration::from_secs(4)", time.Millisecond, twoUnits("Duration::from_secs(%d)", "Duration::from_millis(%d)")),
	"dotnet":   duration("a TimeSpan of .NET: TimeSpan.FromSeconds(4)", time.Millisecond, twoUnits("TimeSpan.FromSeconds(%d)", "TimeSpan.FromMilliseconds(%d)")),
}

func duration(what string, unit time.Duration, text func(time.Duration) string) Form {
	return Form{what, unit, text}
}

func count(d, unit time.Duration) string { return strconv.FormatInt(int64(d/unit), 10) }

func decimal(d time.Duration) string {
	return strconv.FormatFloat(float64(d/time.Millisecond)/1000, 'f', -1, 64)
}

// twoUnits writes whole seconds in one way and all else as milliseconds in another.
func twoUnits(seconds, milliseconds string) func(time.Duration) string {
	return func(d time.Duration) string {
		if d%time.Second == 0 {
			return fmt.Sprintf(seconds, d/time.Second)
		}
		return fmt.Sprintf(milliseconds, d/time.Millisecond)
	}
}

// fits reports whether the form is for values like v.
func (f Form) fits(v reflect.Value) bool {
	switch {
	case f.What == Forms["value"].What:
		return true
	case v.Type() == reflect.TypeFor[time.Duration]():
		return f.Unit > 0
	}
	return f.Unit == 0 && v.Kind() == reflect.Int && v.Type().PkgPath() == ""
}

// formsFor lists the placeholders for values like v.
func formsFor(v reflect.Value) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(Forms)) {
		if Forms[name].fits(v) {
			names = append(names, "{"+name+"}")
		}
	}
	return names
}
