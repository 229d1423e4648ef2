package check

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/kabench/kabench/dialers/external"
)

// hello starts the driver. The error is a command that cannot be run.
func (k *checking) hello() (started bool, err error) {
	k.driver, err = external.Start(k.ctx, k.command)
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return false, err
	}
	says := ""
	if err == nil {
		h := k.driver.Hello()
		r := k.report
		r.Client, r.Version, r.Runtime, r.Settings = h.Client, h.Version, h.Runtime, len(h.Settings)
		says = fmt.Sprintf("%s %s on %s; settings: %s", h.Client, h.Version, h.Runtime, names(h.Settings))
		if h.Version == "" || h.Runtime == "" {
			err = errors.New("hello has no version or no runtime")
		}
	}
	k.rule("hello", err, "write {\"type\":\"hello\",\"protocol\":1,...} as the first line of stdout, within 20 s; logs belong on stderr", says)
	return k.driver != nil, nil
}

// names lists settings.
func names(settings []external.Setting) string {
	if len(settings) == 0 {
		return "none"
	}
	var list []string
	for _, s := range settings {
		list = append(list, s.Name)
	}
	return strings.Join(list, ", ")
}

// configured checks that there is a client at all.
func (k *checking) configured() bool {
	err := k.begin(external.Config{})
	return k.rule("config", err, `respond to config with {"type":"ready"}, and to clock with {"type":"clock","now":ns}`, "ready, with the client's own settings")
}

// settings checks what config may say.
func (k *checking) settings() {
	h := k.driver.Hello()
	err := k.driver.Configure(k.ctx, external.Config{Settings: map[string]any{"kabench-does-not-exist": 1}})
	k.rule("unknown setting", refusal(err, "kabench-does-not-exist"),
		`respond with {"type":"refused","setting":NAME,"text":WHY} to a setting that the driver does not know`, "refused")
	var wrong []string
	for _, s := range h.Settings {
		if err := k.takes(s); err != nil {
			wrong = append(wrong, fmt.Sprintf("%s (%v): %v", s.Name, s.Default, err))
		}
	}
	if len(h.Settings) > 0 {
		err = nil
		if len(wrong) > 0 {
			err = errors.New(strings.Join(wrong, "; "))
		}
		k.rule("defaults", err, "take each setting's own default, as hello says it; null is \"off\"", "taken")
	}
	k.rule("fresh pool", k.freshPool(), "close the client and make a new one for each config: a run begins with an empty pool", "a new config has a new connection")
	k.rule("unknown fields", k.unknownFields(), "ignore fields and frames that the driver does not know", "ignored")
	if len(h.Gauges) > 0 {
		k.rule("gauges", k.gauges(), "write {\"type\":\"gauges\",...} at the interval that config gives in milliseconds, with the names of hello; 0 means never", strings.Join(h.Gauges, ", "))
	}
}

// takes configures the driver with a setting's own default, in a new process if this one
// refuses: some clients read a setting once.
func (k *checking) takes(s external.Setting) error {
	c := external.Config{Settings: map[string]any{s.Name: s.Default}}
	err := k.driver.Configure(k.ctx, c)
	if refused := new(external.RefusedError); !errors.As(err, &refused) {
		return err
	}
	again, failed := external.Start(k.ctx, k.command)
	if failed != nil {
		return failed
	}
	defer func() { _ = again.Close() }()
	return again.Configure(k.ctx, c)
}

func refusal(err error, setting string) error {
	var refused *external.RefusedError
	switch {
	case err == nil:
		return errors.New("it was taken")
	case !errors.As(err, &refused):
		return err
	case refused.Setting != setting:
		return fmt.Errorf("refused names %q, not %q", refused.Setting, setting)
	case refused.Text == "":
		return errors.New("refused has no text")
	}
	return nil
}

// freshPool sends a request, configures again, and sends another.
func (k *checking) freshPool() error {
	var from [2]string
	for i := range from {
		if err := k.begin(external.Config{}); err != nil {
			return err
		}
		seq, _, err := k.one("GET", k.server.url+"/", nil, 0)
		if err != nil {
			return err
		}
		if arrived := k.server.of(seq); len(arrived) > 0 {
			from[i] = arrived[0].from
		}
	}
	if from[0] == from[1] {
		return errors.New("the second client used the first one's connection")
	}
	return nil
}

// unknownFields sends frames with more in them than the protocol has.
func (k *checking) unknownFields() error {
	if err := k.begin(external.Config{}); err != nil {
		return err
	}
	seq := k.next()
	if err := k.talk.Raw([]byte(`{"type":"kabench-future","x":[1]}` + "\n")); err != nil {
		return err
	}
	p := parts("GET", k.server.url+"/", nil, 0)
	p.Header = append(p.Header, [2]string{"X-Kabench", `quo"te\`})
	if err := k.talk.Dispatch(seq, external.Prepare(p)); err != nil {
		return err
	}
	if _, err := k.answer(seq); err != nil {
		return err
	}
	if got := k.server.of(seq); len(got) != 1 || got[0].header.Get("X-Kabench") != `quo"te\` {
		return fmt.Errorf("a header's value arrived as %v", got)
	}
	return nil
}

// gauges waits for some, and then for none.
func (k *checking) gauges() error {
	if err := k.begin(external.Config{Gauges: 50 * time.Millisecond}); err != nil {
		return err
	}
	want := slices.Sorted(slices.Values(k.driver.Hello().Gauges))
	deadline := time.Now().Add(replyTime)
	var seen []map[string]float64
	for len(seen) < 2 && time.Now().Before(deadline) && k.ctx.Err() == nil {
		time.Sleep(50 * time.Millisecond)
		seen = append(seen, k.talk.Gauges()...)
	}
	if len(seen) < 2 {
		return fmt.Errorf("with 50 ms, %d came in %v", len(seen), replyTime)
	}
	if got := slices.Sorted(maps.Keys(seen[0])); !slices.Equal(got, want) {
		return fmt.Errorf("they are %v, and hello has %v", got, want)
	}
	if err := k.begin(external.Config{}); err != nil {
		return err
	}
	time.Sleep(300 * time.Millisecond)
	if n := len(k.talk.Gauges()); n > 0 {
		return fmt.Errorf("with 0, %d came", n)
	}
	return nil
}

// wrote is about everything that the driver wrote.
func (k *checking) wrote() {
	seen := k.driver.Faults()
	maps.Copy(seen, k.faults)
	for _, r := range []struct {
		name   string
		fault  external.Fault
		change string
		says   string
	}{
		{"stdout", external.FaultGarbage, "write frames to stdout, one JSON object on a line, and nothing else; whole lines, by one thread at a time", "frames only"},
		{"one done each", external.FaultTwice, "write one done for each dispatch", "never two"},
		{"only what was sent", external.FaultUnsent, "write a done for a dispatch only, with its seq", "nothing unsent"},
		{"times", external.FaultTimes, "stamp received when the frame was parsed, called just before the client's call, finished after it, all with one monotonic clock in nanoseconds", "all of them are possible"},
	} {
		var err error
		if example, found := seen[string(r.fault)]; found {
			err = errors.New(example)
		}
		k.rule(r.name, err, r.change, r.says)
	}
}

// endings checks that the driver ends when it should, with a request in flight.
func (k *checking) endings() {
	k.server.again()
	defer k.server.let()
	err := k.hold()
	k.end()
	if err == nil {
		err = k.driver.Bye()
	}
	k.rule("bye", err, `respond to bye with {"type":"bye"} and exit with 0 within 5 s, without waiting for requests in flight`, "bye, and exit code 0")
	_ = k.driver.Close() // after a bye it has ended already
	again, err := external.Start(k.ctx, k.command)
	if err == nil {
		k.driver = again
		if err = k.hold(); err == nil {
			k.end()
			err = again.Hangup()
		}
		k.end()
	}
	k.rule("end of stdin", err, "exit when stdin ends: kabench may have been killed", "it ends")
}

// hold leaves a request in flight.
func (k *checking) hold() error {
	if err := k.begin(external.Config{}); err != nil {
		return err
	}
	if err := k.talk.Dispatch(k.next(), external.Prepare(parts("GET", k.server.url+"/hold", nil, 0))); err != nil {
		return err
	}
	for deadline := time.Now().Add(replyTime); k.server.heldAtOnce() == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			return errors.New("a request did not arrive")
		}
	}
	return nil
}
